// Orders the processes of one worker: a dispatcher ignores events of all but the newest.
// SPDX-License-Identifier: Apache-2.0

import LlorchSystem
package import Logging

package enum BootNumber {
    /// Bytes of the longest number, its line feed included, with room to spare.
    private static let maximumBytes = 32

    /// Microseconds since 1970, but at least one more than the number kept in the directory.
    ///
    /// If the directory is unusable the worker starts anyway, but its boot number may not rise where the clock
    /// was set back.
    package static func next(stateDirectory: String?, logger: Logger) -> UInt64 {
        let now = UInt64(clamping: Timestamp.sinceEpoch().wholeMicroseconds)
        guard let stateDirectory else { return now }
        let path = stateDirectory + "/boot"
        let (successor, overflow) = (kept(at: path) ?? 0).addingReportingOverflow(1)
        let boot = overflow ? now : max(now, successor)
        do throws(SystemError) {
            // Replaced whole: a process killed here leaves the old number or the new one.
            try SmallFile.replace(path, with: Array("\(boot)\n".utf8))
        } catch {
            logger.warning(
                "the boot number could not be kept",
                metadata: ["path": "\(path)", "reason": "\(error.reason)"])
        }
        return boot
    }

    private static func kept(at path: String) -> UInt64? {
        guard let bytes = try? RegularFile.contents(of: path, limit: maximumBytes) else {
            return nil
        }
        return UInt64(String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
    }
}
