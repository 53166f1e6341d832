// Named places in the worker's life where the fault tests have it killed: `--crash-at before-end:3`.
// Not for production; only the command line can set one.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import LlorchProtocol

/// The stages of a job, and of a worker, between which a crash makes a difference.
package enum CrashPoint: String, Sendable, Hashable, CaseIterable {
    case load
    /// A message has left the socket.
    case received
    /// The table has the job; its answer is nowhere yet.
    case beforeAccepted = "before-accepted"
    case afterAccepted = "after-accepted"
    case beforeStarted = "before-started"
    case afterStarted = "after-started"
    case prefill
    case beforeToken = "before-token"
    case afterToken = "after-token"
    case beforeEnd = "before-end"
    case afterEnd = "after-end"
    /// Between two events handed to libzmq.
    case inFlush = "in-flush"
    case drain
    /// Leaving, while acknowledgements may come.
    case acknowledgementWait = "ack-wait"
}

/// Ends the process at a place, the n-th time it comes by.
package struct CrashPlan: Sendable {
    package let point: CrashPoint
    private var left: Int

    /// Reads `before-end`, or `before-end:3` for the third time; nil for anything else.
    package init?(parsing text: String) {
        let parts = text.split(
            separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let name = parts.first, let point = CrashPoint(rawValue: String(name)),
            let count = parts.count == 1 ? 1 : Int(parts[1]), count > 0
        else { return nil }
        self.point = point
        left = count
    }

    package mutating func pass(_ place: CrashPoint) {
        guard place == point else { return }
        left -= 1
        if left == 0 { kill(getpid(), SIGKILL) }
    }
}

extension CrashPoint? {
    static func before(_ event: TokenEvent) -> Self {
        switch event {
        case .started: .beforeStarted
        case .token: .beforeToken
        case .end: .beforeEnd
        case .metrics, .error: nil
        }
    }

    static func after(_ event: TokenEvent) -> Self {
        switch event {
        case .started: .afterStarted
        case .token: .afterToken
        case .end: .afterEnd
        case .metrics, .error: nil
        }
    }
}
