// Moments in the life of a worker and of its jobs, told to whoever observes the worker's loop, as for tracing.
// An observer sees and delays; it decides nothing.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

/// A moment that the worker's loop comes by.
package enum WorkerStage: Sendable, Hashable {
    /// A part of the model has been loaded.
    case loading
    /// A message has been taken from a socket and not been read yet.
    case messageReceived
    /// A job message has been decided on; the answer is in no socket yet.
    case jobDecided
    /// Answers to jobs that were queued have been handed to libzmq, as far as it took them.
    case jobsAnswered
    /// The engine has done a step that gave no event.
    case stepDone
    /// An event of the running job is about to be handed over.
    case eventBegins(TokenEvent)
    /// The same event has been handed to libzmq, if libzmq took it.
    case eventEnded(TokenEvent)
    /// One event has been handed to libzmq, or libzmq had no room for it.
    case sent
    /// All sockets have been looked at, and what came has been answered.
    case looked
    /// The worker takes no more jobs.
    case draining
    /// The last job is over; the worker waits for acknowledgements before it leaves.
    case awaitingAcknowledgements
}

/// Called on the worker's thread, in the order of the stages.
package typealias StageObserver = (WorkerStage) -> Void
