// Which workers serve: one answer, published by the queue's thread and read by health, admission and metrics.
// Nobody is asked for it. Which worker gets a job is the dispatcher's decision (LlorchQueue).
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol
package import LlorchQueue
import LlorchSystem
import Synchronization

/// The workers as the dispatcher last knew them.
package final class Serving: Sendable {
    /// One worker of which a heartbeat came.
    package struct Worker: Sendable, Hashable {
        package var name: String
        package var boot: UInt64
        package var status: WorkerStatus
        /// When the heartbeat with this status came, by the clock of `Serving`.
        package var statusAt: Duration
        /// Why another process under the name is ignored.
        package var conflict: NameConflict?

        /// Nil for a worker that has left, or has not spoken of itself.
        package init?(_ worker: DispatcherWorker, now: Duration) {
            guard !worker.hasLeft, let status = worker.status, let statusAt = worker.statusAt
            else { return nil }
            self.init(
                name: worker.name, boot: worker.boot, status: status,
                statusAt: statusAt, conflict: worker.conflict(now: now))
        }

        package init(
            name: String, boot: UInt64, status: WorkerStatus, statusAt: Duration,
            conflict: NameConflict? = nil
        ) {
            self.name = name
            self.boot = boot
            self.status = status
            self.statusAt = statusAt
            self.conflict = conflict
        }
    }

    /// One word for all workers: of those that serve, else of those that do not.
    package enum State: Sendable, Hashable {
        case noWorker
        /// All of them are silent.
        case lost
        case idle
        case busy
        case stalled
        case loading
        case draining
    }

    /// Three heartbeats in a row may be lost before a worker no longer counts as serving.
    package static let maximumAge = Duration.seconds(3)

    private let clock: @Sendable () -> Duration
    private let workers = Mutex<[Worker]>([])

    package init(clock: @escaping @Sendable () -> Duration = { MonotonicClock.now() }) {
        self.clock = clock
    }

    /// Replaces what is known.
    package func publish(_ workers: [Worker]) {
        let ordered = workers.sorted { $0.name < $1.name }
        self.workers.withLock { $0 = ordered }
    }

    package func snapshot() -> Snapshot {
        Snapshot(workers: workers.withLock { $0 }, now: clock())
    }

    /// The workers at one instant.
    package struct Snapshot: Sendable {
        /// In the order of their names.
        package let workers: [Worker]
        package let now: Duration

        package func age(of worker: Worker) -> Duration { now - worker.statusAt }

        package func isFresh(_ worker: Worker) -> Bool { age(of: worker) <= maximumAge }

        /// Heard of late, loaded, not leaving, reading what it is sent.
        package func isServing(_ worker: Worker) -> Bool {
            isFresh(worker) && (worker.status.state == .idle || worker.status.state == .busy)
        }

        package var serving: [Worker] { workers.filter(isServing) }
        package var isServed: Bool { workers.contains(where: isServing) }

        /// Weights and caches of the workers that serve.
        package var memoryBytes: UInt64 {
            serving.reduce(UInt64(0)) { sum, worker in
                let (total, overflow) = sum.addingReportingOverflow(
                    worker.status.model?.memoryBytes ?? 0)
                return overflow ? .max : total
            }
        }

        package var state: State {
            if workers.isEmpty { return .noWorker }
            let fresh = workers.filter(isFresh).map(\.status.state)
            let order: [(WorkerStatus.State, State)] = [
                (.idle, .idle), (.busy, .busy), (.stalled, .stalled), (.loading, .loading),
                (.draining, .draining),
            ]
            return order.first { fresh.contains($0.0) }?.1 ?? .lost
        }
    }
}
