// What is counted for `GET /metrics`, as plain numbers. Names and text: Metrics/MetricsRoute.swift. What the
// dispatcher counts itself comes from its counters (LlorchQueue).
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol
package import LlorchQueue
import Synchronization

/// How a job ended; a failed job by the code of its failure.
package enum JobOutcome: Sendable, Hashable {
    case end
    case error(JobFailure.Code)

    package static let all = [.end] + JobFailure.Code.allCases.map(JobOutcome.error)

    package var label: String {
        switch self {
        case .end: "end"
        case .error(let code): code.rawValue
        }
    }
}

/// Totals since the process began, and the present numbers of jobs and streams.
package struct MetricsTotals: Sendable {
    /// The numbers that the queue's thread published last.
    package var queue = QueueNumbers()
    package internal(set) var outcomes: [JobOutcome: Int] = [:]
    package internal(set) var refusals: [JobFailure.Code: Int] = [:]
    package internal(set) var promptTokens = 0
    package internal(set) var generatedTokens = 0
    package internal(set) var openStreams = 0
    package internal(set) var queueWait = Histogram(bounds: Self.waits)
    package internal(set) var timeToFirstToken = Histogram(bounds: Self.waits)
    package internal(set) var interToken = Histogram(bounds: Self.gaps)
    package internal(set) var cancel = Histogram(bounds: Self.cancels)
    /// From the taking of a job to its end.
    package internal(set) var duration = Histogram(
        bounds: Self.durationMilliseconds, inMilliseconds: true)

    package struct QueueNumbers: Sendable, Hashable {
        package var counters = Dispatcher.Counters()
        package var waiting = 0
        package var out = 0
        /// Messages of workers that could not be read.
        package var unreadable = 0

        package init() {}
    }

    private static let waits = [
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300,
    ]
    private static let gaps = [
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
    ]
    // A tenth of a second is what a cancel may take: docs/reliability.md.
    private static let durationMilliseconds: [Double] = [
        10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000,
    ]
    private static let cancels = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
}

/// The totals, and the times of jobs that have not ended, by one monotonic clock.
package struct JobMeasurements: Sendable {
    private struct Times: Sendable {
        let submittedAt: Duration
        var startedAt: Duration?
        var tokenAt: Duration?
        var cancelledAt: Duration?
    }

    package var totals = MetricsTotals()
    /// Times by job id; no more jobs than the dispatcher has.
    private var jobs: [String: Times] = [:]

    package init() {}

    package mutating func submitted(_ jobID: String, now: Duration) {
        jobs[jobID] = Times(submittedAt: now)
    }

    /// Notes that the end of a job was asked for, by a client or because its client left.
    package mutating func cancelled(_ jobID: String, now: Duration) {
        guard let times = jobs[jobID], times.cancelledAt == nil else { return }
        jobs[jobID]?.cancelledAt = now
    }

    /// Counts an event that the dispatcher hands on; events of a job that has ended are not counted.
    package mutating func note(_ event: TokenEvent, of jobID: String, now: Duration) {
        guard let times = jobs[jobID] else { return }
        switch event {
        case .started(let started):
            guard times.startedAt == nil else { return }
            jobs[jobID]?.startedAt = now
            totals.queueWait.observe(now - times.submittedAt)
            totals.promptTokens.count(started.promptTokens)
        case .token(let piece):
            jobs[jobID]?.tokenAt = now
            if let before = times.tokenAt {
                totals.interToken.observe(now - before)
            } else {
                totals.timeToFirstToken.observe(now - times.submittedAt)
            }
            totals.generatedTokens.count(piece.ids.count)
        case .metrics: break
        case .end: ended(jobID, .end, now: now)
        case .error(let failure): ended(jobID, .error(failure.code), now: now)
        }
    }

    /// Counts the outcome of a job, once: a second outcome of the same job is not counted.
    package mutating func ended(_ jobID: String, _ outcome: JobOutcome, now: Duration) {
        guard let times = jobs.removeValue(forKey: jobID) else { return }
        totals.outcomes[outcome, default: 0] += 1
        totals.duration.observe(now - times.submittedAt)
        if outcome == .error(.cancelled), let asked = times.cancelledAt {
            totals.cancel.observe(now - asked)
        }
    }
}

/// The measurements as all threads share them.
///
/// The queue's thread and the threads of requests write; any thread reads.
package final class ShimMetrics: Sendable {
    private let measurements = Mutex(JobMeasurements())

    package init() {}

    /// All totals at one instant.
    package var totals: MetricsTotals { measurements.withLock { $0.totals } }

    package func update(_ body: (inout JobMeasurements) -> Void) {
        measurements.withLock { body(&$0) }
    }

    package func refused(_ code: JobFailure.Code) {
        update { $0.totals.refusals[code, default: 0] += 1 }
    }

    package func streamOpened() {
        update { $0.totals.openStreams += 1 }
    }

    package func streamClosed() {
        update { $0.totals.openStreams -= 1 }
    }
}

extension Int {
    /// Adds a number that a worker told; a negative one counts as 0, and a sum beyond `Int` stays `Int.max`.
    fileprivate mutating func count(_ further: Int) {
        let (sum, overflow) = addingReportingOverflow(Swift.max(0, further))
        self = overflow ? .max : sum
    }
}
