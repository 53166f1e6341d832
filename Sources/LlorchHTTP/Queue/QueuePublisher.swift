// What the queue's thread tells the other threads: which workers serve, and what is counted. Nothing here decides
// about a job.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchQueue
import LlorchSystem
import Logging

/// Confined to the queue's thread; `Serving` and `ShimMetrics` are read by any.
struct QueuePublisher {
    private let serving: Serving
    private let metrics: ShimMetrics
    private let logger: Logger
    /// The processes that the log has named, by their workers.
    private var boots: [String: UInt64] = [:]
    /// The conflicts that the log has told, by the names of workers.
    private var conflicts: [String: NameConflict] = [:]
    /// Workers that the dispatcher knew when they were last published.
    private var known = 0

    init(serving: Serving, metrics: ShimMetrics, logger: Logger) {
        self.serving = serving
        self.metrics = metrics
        self.logger = logger
    }

    var isServed: Bool { serving.snapshot().isServed }

    /// Before any client hears of it, so that a client who has its answer finds it counted.
    mutating func publish(_ deliveries: [Delivery], of client: DispatcherClient, now: Duration) {
        var numbers = MetricsTotals.QueueNumbers()
        numbers.counters = client.dispatcher.counters
        numbers.waiting = client.dispatcher.waitingCount
        numbers.out = client.dispatcher.outCount
        numbers.unreadable = client.unreadableEvents + client.multipartDropped
        metrics.update { measurements in
            measurements.totals.queue = numbers
            for case .event(let event, let jobID) in deliveries {
                measurements.note(event, of: jobID, now: now)
            }
        }
        publishWorkers(of: client.dispatcher, deliveries, now: now)
    }

    /// The workers are published when one has spoken of itself, has left, or was forgotten.
    private mutating func publishWorkers(
        of dispatcher: Dispatcher, _ deliveries: [Delivery], now: Duration
    ) {
        var isChanged = dispatcher.workers.count != known
        for delivery in deliveries {
            switch delivery {
            case .status: isChanged = true
            case .left(let worker, let reason):
                isChanged = true
                logger.info(
                    "worker left",
                    metadata: [
                        "worker_id": "\(worker)", "reason": "\(reason)",
                    ])
            case .accepted, .event: break
            }
        }
        guard isChanged else { return }
        known = dispatcher.workers.count
        let workers = dispatcher.workers.compactMap { Serving.Worker($0, now: now) }
        serving.publish(workers)
        for worker in workers where boots[worker.name] != worker.boot {
            logger.info(
                "worker seen",
                metadata: [
                    "worker_id": "\(worker.name)",
                    "state": "\(worker.status.state.rawValue)",
                ])
        }
        boots = Dictionary(workers.map { ($0.name, $0.boot) }) { first, _ in first }
        reportConflicts(of: workers)
        conflicts = Dictionary(
            workers.compactMap { worker in worker.conflict.map { (worker.name, $0) } }
        ) { first, _ in first }
    }

    /// Logs each conflict once, as long as it lasts.
    private func reportConflicts(of workers: [Serving.Worker]) {
        for worker in workers {
            guard let conflict = worker.conflict, conflicts[worker.name] != conflict else {
                continue
            }
            let message =
                switch conflict {
                case .twoProcesses:
                    "two processes have this name, and the older one gets no jobs; give each worker a "
                        + "--worker-id of its own"
                case .bootWentBack:
                    "a process is ignored because its boot number is below that of the process "
                        + "before it; it is accepted a minute after that one was last heard; give "
                        + "--state-directory to keep boot numbers in order when a clock is set back"
                }
            logger.warning("\(message)", metadata: ["worker_id": "\(worker.name)"])
        }
    }

    func submitted(_ jobID: String, now: Duration) {
        metrics.update { $0.submitted(jobID, now: now) }
    }

    func cancelled(_ jobID: String, now: Duration) {
        metrics.update { $0.cancelled(jobID, now: now) }
    }

    func ended(_ jobID: String, _ failure: JobFailure, now: Duration) {
        metrics.update { $0.ended(jobID, .error(failure.code), now: now) }
    }
}
