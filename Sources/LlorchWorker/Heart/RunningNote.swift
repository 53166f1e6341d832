// Keeps the id of the running job in a file, so that the process after a crash can tell which job ran then.
// For counting the crashes of a job; not a journal, and never synced. The dispatcher counts:
// LlorchQueue/Dispatcher.
// SPDX-License-Identifier: Apache-2.0

import LlorchSystem
package import Logging

/// The file `running` of a state directory, held by one process at a time.
package final class RunningNote {
    /// The job that the process before this one did not survive.
    package let crashedOn: String?
    private let file: Descriptor

    /// Bytes of the longest note: the length of a job id, a line feed, the id.
    private static let maximumBytes = 4_096

    /// Nil without a usable directory: crashes are then not attributed to a job.
    package init?(stateDirectory: String?, logger: Logger) {
        guard let stateDirectory else { return nil }
        let path = stateDirectory + "/running"
        func warn(_ reason: String) {
            logger.warning(
                "the running job will not be noted",
                metadata: ["path": "\(path)", "reason": "\(reason)"])
        }
        do throws(SystemError) {
            let opened = try Descriptor(openingOrCreating: path)
            guard try opened.lock() else {
                warn("another process holds it")
                return nil
            }
            crashedOn = Self.jobID(in: try opened.bytes(at: 0, count: Self.maximumBytes))
            file = opened
        } catch {
            warn(error.reason)
            return nil
        }
    }

    /// Notes the job that begins; nil when none runs.
    ///
    /// A note that cannot be written is left as it was: the job runs all the same.
    package func write(_ jobID: String?) {
        // The length comes first, so that the end of a longer note before this one is not read.
        let id = Array((jobID ?? "").utf8)
        let bytes = Array("\(id.count)\n".utf8) + id
        guard bytes.count <= Self.maximumBytes else { return }
        try? file.write(bytes.span, at: 0)
    }

    private static func jobID(in bytes: [UInt8]) -> String? {
        guard let line = bytes.firstIndex(of: UInt8(ascii: "\n")),
            let length = Int(String(decoding: bytes[..<line], as: UTF8.self)),
            length > 0, length <= bytes.count - line - 1
        else { return nil }
        return String(validating: bytes[line + 1..<line + 1 + length], as: UTF8.self)
    }
}
