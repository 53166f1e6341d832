// Two processes under one worker's name, of which the dispatcher hears one: what the dispatcher knows of the other.
// That the older one's events are ignored is rule 4 of LLQ/1: Dispatcher+Workers.swift.
// SPDX-License-Identifier: Apache-2.0

/// Why heartbeats under a worker's name are ignored.
package enum NameConflict: String, Sendable, Hashable, CaseIterable {
    /// Another process under the name is heard too, and was started later.
    case twoProcesses = "two_processes"
    /// The name's last process is silent and had a higher boot number: the machine's clock was set back. The process
    /// is accepted when its former self is forgotten.
    case bootWentBack = "boot_went_back"
}

/// A process whose heartbeats are ignored, because another process of its name has a higher boot number.
struct IgnoredProcess: Sendable, Hashable {
    let boot: UInt64
    private let firstHeardAt: Duration
    private var heardAt: Duration

    /// Heartbeats over less than this may have waited in a pipe for a process that is gone.
    private static let proof = Duration.milliseconds(500)
    /// A process that was not heard for this long, three heartbeats, has ended.
    private static let freshness = Duration.seconds(3)

    init(boot: UInt64, now: Duration) {
        self.boot = boot
        firstHeardAt = now
        heardAt = now
    }

    /// Notes a heartbeat; one of another process, or after a silence, begins anew.
    mutating func hear(boot: UInt64, now: Duration) {
        guard boot == self.boot, now - heardAt <= Self.freshness else {
            self = IgnoredProcess(boot: boot, now: now)
            return
        }
        heardAt = now
    }

    /// What is wrong, if this process lives; `successorHeardAt` is when the process that counts was last heard.
    func conflict(successorHeardAt: Duration, now: Duration) -> NameConflict? {
        guard now - heardAt <= Self.freshness, heardAt - firstHeardAt >= Self.proof else {
            return nil
        }
        let successorLives =
            now - successorHeardAt <= Self.freshness
            && successorHeardAt - firstHeardAt >= Self.proof
        return successorLives ? .twoProcesses : .bootWentBack
    }
}
