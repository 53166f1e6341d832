// Which job runs, kept in a file, so that the process after a crash can tell what was running then.
// A hint for counting poisonous jobs, no journal: never synced. Who counts: Dispatcher.swift.
// SPDX-License-Identifier: Apache-2.0

import Glibc
package import Logging

/// The file `running` of a state directory, held by one process at a time.
package final class RunningNote {
    /// The job that the process before this one did not survive.
    package let crashedOn: String?
    private let descriptor: Int32

    /// Bytes of the longest note: a job id and its length.
    private static let maximumBytes = 4_096

    /// Nil where there is no directory, or it cannot be used: that costs the hint, not the start.
    package init?(stateDirectory: String?, logger: Logger) {
        guard let stateDirectory else { return nil }
        let path = stateDirectory + "/running"
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0, flock(file, LOCK_EX | LOCK_NB) == 0 else {
            logger.warning(
                "the running job will not be noted",
                metadata: ["path": "\(path)", "reason": "\(String(cString: strerror(errno)))"])
            if file >= 0 { close(file) }
            return nil
        }
        descriptor = file
        crashedOn = Self.read(file)
    }

    deinit { close(descriptor) }

    /// Notes the job that begins; nil when none runs.
    package func write(_ jobID: String?) {
        // Length first: what a longer note left behind is not read.
        let id = Array((jobID ?? "").utf8)
        let bytes = Array("\(id.count)\n".utf8) + id
        guard bytes.count <= Self.maximumBytes else { return }
        _ = pwrite(descriptor, bytes, bytes.count, 0)
    }

    private static func read(_ file: Int32) -> String? {
        var bytes = [UInt8](repeating: 0, count: maximumBytes)
        let count = pread(file, &bytes, bytes.count, 0)
        guard count > 0, let line = bytes[..<count].firstIndex(of: UInt8(ascii: "\n")),
            let length = Int(String(decoding: bytes[..<line], as: UTF8.self)),
            length > 0, length <= count - line - 1
        else { return nil }
        return String(validating: bytes[line + 1..<line + 1 + length], as: UTF8.self)
    }
}
