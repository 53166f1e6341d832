// When new connections are accepted: not while there are as many as there may be, and not for a moment after the
// system had no descriptor or memory for one. Without I/O; the handler that obeys: AcceptGuard.swift.
// SPDX-License-Identifier: Apache-2.0

/// Counts connections and failures to accept one.
package struct AcceptPace: Sendable, Hashable {
    /// Why no connection is accepted; the raw value is a label of metrics.
    package enum Reason: String, Sendable, Hashable, CaseIterable {
        /// There are as many connections as may be.
        case connections
        /// The system has no descriptor or no memory for another one.
        case resources
    }

    package let limit: Int
    package private(set) var connections = 0
    /// Until when nothing is accepted after a failure.
    private var pausedUntil: Duration?
    private var failuresInARow = 0
    private var saidAt: [Reason: Duration] = [:]

    /// The first pause; each further failure in a row doubles it, up to `longestPause`.
    package static let shortestPause = Duration.milliseconds(50)
    package static let longestPause = Duration.seconds(1)
    /// The log has one line about each reason in this time.
    package static let silence = Duration.seconds(60)

    package init(limit: Int) {
        self.limit = max(1, limit)
    }

    package mutating func opened() {
        connections += 1
        failuresInARow = 0
    }

    package mutating func closed() {
        connections -= 1
    }

    /// Accepting failed; gives the time after which it is tried again.
    package mutating func failed(now: Duration) -> Duration {
        let pause = min(Self.longestPause, Self.shortestPause * (1 << min(failuresInARow, 10)))
        failuresInARow += 1
        pausedUntil = now + pause
        return pause
    }

    /// Nil while connections are accepted.
    package mutating func reasonToWait(now: Duration) -> Reason? {
        if let time = pausedUntil {
            if now < time { return .resources }
            pausedUntil = nil
        }
        return connections >= limit ? .connections : nil
    }

    /// Whether the log is to have a line about this reason now.
    package mutating func isNews(_ reason: Reason, now: Duration) -> Bool {
        if let last = saidAt[reason], now - last < Self.silence { return false }
        saidAt[reason] = now
        return true
    }

    /// As many connections as a process with this limit of descriptors has room for, beside its own.
    package static func limit(ofDescriptors descriptors: Int, processors: Int) -> Int {
        // Each event loop has three, and the queue's sockets some for each worker.
        min(10_000, max(8, descriptors - 64 - 3 * processors))
    }
}
