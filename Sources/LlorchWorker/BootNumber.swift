// Orders the processes of one worker: a dispatcher ignores events of all but the newest.
// SPDX-License-Identifier: Apache-2.0

import Glibc
package import Logging

package enum BootNumber {
    /// Microseconds since 1970, forced above the number kept in the directory.
    ///
    /// A directory that cannot be used costs the force, not the start.
    package static func next(stateDirectory: String?, logger: Logger) -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let now =
            UInt64(clamping: time.tv_sec) &* 1_000_000 &+ UInt64(clamping: time.tv_nsec) / 1_000
        guard let stateDirectory else { return now }
        let path = stateDirectory + "/boot"
        let (successor, overflow) = (read(path) ?? 0).addingReportingOverflow(1)
        let boot = overflow ? now : max(now, successor)
        if !write(boot, to: path) {
            logger.warning(
                "the boot number could not be kept",
                metadata: ["path": "\(path)", "reason": "\(String(cString: strerror(errno)))"])
        }
        return boot
    }

    private static func read(_ path: String) -> UInt64? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 32)
        let count = Glibc.read(file, &bytes, bytes.count)
        guard count > 0 else { return nil }
        return UInt64(String(decoding: bytes[..<count].prefix { $0 != 10 }, as: UTF8.self))
    }

    /// Replaces the file whole: a process killed here leaves the old number or the new one.
    private static func write(_ boot: UInt64, to path: String) -> Bool {
        let draft = path + ".new"
        let file = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { return false }
        let text = Array("\(boot)\n".utf8)
        let isWhole = Glibc.write(file, text, text.count) == text.count
        return close(file) == 0 && isWhole && rename(draft, path) == 0
    }
}
