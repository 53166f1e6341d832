// The last word of each worker. Health and admission are answered from here, never by asking.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol
import LlorchQueue
import LlorchSystem
import Synchronization

/// Workers as their heartbeats describe them; written by the queue's thread, read by any.
package final class WorkerDirectory: Sendable {
    package struct Entry: Sendable, Hashable {
        package var name: String
        package var boot: UInt64
        package var status: WorkerStatus
        /// In milliseconds of the directory's clock.
        package var heardAt: Int64
    }

    /// What a worker cannot do without: three heartbeats in a row.
    package static let maximumAge: Int64 = 3_000
    /// A worker silent for this long is no longer listed.
    package static let forgetAfter: Int64 = 60_000

    private let clock: @Sendable () -> Int64
    private let entries = Mutex<[String: Entry]>([:])

    package init(clock: @escaping @Sendable () -> Int64 = { MonotonicClock.milliseconds() }) {
        self.clock = clock
    }

    /// Whether this is the first word of a process.
    package func note(_ status: WorkerStatus, of name: String, boot: UInt64) -> Bool {
        let entry = Entry(name: name, boot: boot, status: status, heardAt: clock())
        return entries.withLock { entries in
            let known = entries[name]?.boot
            if let known, known > boot { return false }
            entries[name] = entry
            entries = entries.filter { entry.heardAt - $0.value.heardAt < Self.forgetAfter }
            return known != boot
        }
    }

    package func remove(_ name: String) {
        entries.withLock { $0[name] = nil }
    }

    /// In the order of their names.
    package func snapshot() -> Snapshot {
        let all = entries.withLock { Array($0.values) }
        return Snapshot(workers: all.sorted { $0.name < $1.name }, now: clock())
    }

    /// The directory at one instant.
    package struct Snapshot: Sendable {
        package var workers: [Entry]
        package var now: Int64

        package func age(of worker: Entry) -> Int64 { now - worker.heardAt }

        package func isFresh(_ worker: Entry) -> Bool { age(of: worker) <= maximumAge }

        /// Heard of late, loaded, not leaving, reading what it is sent.
        package func isServing(_ worker: Entry) -> Bool {
            isFresh(worker) && (worker.status.state == .idle || worker.status.state == .busy)
        }

        package var serving: [Entry] { workers.filter(isServing) }

        /// One word for all: of the serving workers, else of those that are not.
        package var state: String {
            let fresh = workers.filter(isFresh).map(\.status.state)
            if workers.isEmpty { return "no_worker" }
            if fresh.isEmpty { return "lost" }
            let order: [WorkerStatus.State] = [.idle, .busy, .stalled, .loading, .draining]
            return order.first(where: fresh.contains)?.rawValue ?? "lost"
        }
    }
}
