// What the dispatcher knows of one worker. How it learns that: Dispatcher+Workers.swift.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

/// A worker as its events describe it.
package struct DispatcherWorker: Sendable, Hashable {
    package let name: String
    /// The boot number of the newest process heard.
    package internal(set) var boot: UInt64
    /// When it was last heard, by the dispatcher's clock.
    package internal(set) var heardAt: Duration
    /// From its last heartbeat.
    package internal(set) var status: WorkerStatus?
    /// When that heartbeat came; nil before the first.
    package internal(set) var statusAt: Duration?
    /// The worker said `bye`, or fell silent.
    package internal(set) var isGone = false
    /// The worker said `bye`, and nothing since.
    package internal(set) var hasLeft = false

    /// An older process under this name that is still heard.
    var ignored: IgnoredProcess?
    var nextSequence: UInt64
    var restUntil = Duration.zero
    var unreachableSince: Duration?
    var pingAt = Duration.zero
    /// The job of the worker's last event about a job that nobody here knows.
    var foreign: JobReference?
    /// A job that the worker runs and nobody here knows, and when to cancel it.
    var stranger: Stranger?
    /// Jobs that the worker has or may have.
    package internal(set) var load = 0
    /// The number of the assignment in which the worker was last given a job; a larger number is later.
    var lastAssigned: UInt64 = 0

    struct Stranger: Sendable, Hashable {
        var jobID: String
        var cancelAt: Duration
    }

    init(_ event: WorkerEvent, now: Duration) {
        name = event.worker
        boot = event.boot
        heardAt = now
        nextSequence = event.sequence &+ 1
    }

    /// Why another process under this name is ignored; nil where there is none.
    package func conflict(now: Duration) -> NameConflict? {
        ignored?.conflict(successorHeardAt: heardAt, now: now)
    }

    /// Whether the worker can be given a job: it was heard lately, has its model, does not leave, and its events are
    /// read.
    package var isServing: Bool {
        !isGone && (status?.state == .idle || status?.state == .busy)
    }
}
