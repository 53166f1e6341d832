// What the dispatcher knows of one worker. How it learns that: Dispatcher+Workers.swift.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

/// A worker as its events describe it.
package struct DispatcherWorker: Sendable, Hashable {
    package let name: String
    /// Of the newest process heard.
    package internal(set) var boot: UInt64
    /// When it was last heard, by the dispatcher's clock.
    package internal(set) var heardAt: Duration
    /// From its last heartbeat.
    package internal(set) var status: WorkerStatus?
    /// It said `bye`, or fell silent.
    package internal(set) var isGone = false

    var nextSequence: UInt64
    var restUntil = Duration.zero
    var unreachableSince: Duration?
    var pingAt = Duration.zero
    /// Of its last event about a job that nobody here knows.
    var foreign: JobReference?
    /// A running job that nobody here knows, and since when.
    var stranger: Stranger?
    /// Jobs it has or may have.
    package internal(set) var load = 0
    /// Larger is later.
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

    /// Whether it can be given a job: heard of late, loaded, not leaving, reading our events.
    package var isServing: Bool {
        !isGone && (status?.state == .idle || status?.state == .busy)
    }
}
