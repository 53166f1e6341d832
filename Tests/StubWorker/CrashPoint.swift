// Named places in the worker's life at which the fault tests have it killed: `--crash-at before-end:3`.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import LlorchProtocol
package import LlorchWorker

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

    /// Nil for a stage at which no crash is planned.
    package init?(_ stage: WorkerStage) {
        switch stage {
        case .loading: self = .load
        case .messageReceived: self = .received
        case .jobDecided: self = .beforeAccepted
        case .jobsAnswered: self = .afterAccepted
        case .stepDone: self = .prefill
        case .eventBegins(.started(_)): self = .beforeStarted
        case .eventEnded(.started(_)): self = .afterStarted
        case .eventBegins(.token(_)): self = .beforeToken
        case .eventEnded(.token(_)): self = .afterToken
        case .eventBegins(.end(_)): self = .beforeEnd
        case .eventEnded(.end(_)): self = .afterEnd
        case .sent: self = .inFlush
        case .draining: self = .drain
        case .awaitingAcknowledgements: self = .acknowledgementWait
        case .looked, .eventBegins, .eventEnded: return nil
        }
    }
}

/// A place, and which time of coming by it is meant.
package struct CrashPlan: Sendable, Hashable {
    package let point: CrashPoint
    /// 1 for the first time.
    package let count: Int

    /// Reads `before-end`, or `before-end:3` for the third time.
    package init(parsing text: String) throws(CrashPlanError) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let name = parts.first, let point = CrashPoint(rawValue: String(name)),
            let count = parts.count == 1 ? 1 : Int(parts[1]), count > 0
        else { throw CrashPlanError(text: text) }
        self.point = point
        self.count = count
    }
}

package struct CrashPlanError: Error, Sendable, Hashable, CustomStringConvertible {
    let text: String

    package var description: String {
        let points = CrashPoint.allCases.map(\.rawValue).joined(separator: ", ")
        return "--crash-at \(text): expected one of \(points), or one of them with :n"
    }
}

/// Kills the process when its plan is due.
package final class PlannedCrash {
    private let point: CrashPoint
    private var left: Int

    package init(_ plan: CrashPlan) {
        point = plan.point
        left = plan.count
    }

    package func pass(_ stage: WorkerStage) {
        guard CrashPoint(stage) == point else { return }
        left -= 1
        if left == 0 { kill(getpid(), SIGKILL) }
    }
}
