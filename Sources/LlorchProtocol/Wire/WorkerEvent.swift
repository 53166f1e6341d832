// What a worker says to its dispatcher. One frame, one JSON object. Bytes: WorkerEvent+Parsing.swift.
// SPDX-License-Identifier: Apache-2.0

/// A message on the `events` socket.
package struct WorkerEvent: Sendable, Hashable {
    /// What was said, apart from who said it.
    package enum Body: Sendable, Hashable {
        case heartbeat(WorkerStatus)
        /// The answer to every copy of a job received.
        case accepted(JobReference, Acceptance)
        case job(JobReference, TokenEvent)
        /// An `error` about a message whose job could not be read.
        case refusal(JobFailure)
        /// Clean exit.
        case bye(reason: String)
    }

    /// Where a received job stands.
    package struct Acceptance: Sendable, Hashable {
        /// The raw value is the wire spelling.
        package enum State: String, Sendable, Hashable, CaseIterable {
            case queued
            case running
            case done
        }

        package var state: State
        /// Jobs before it in the queue.
        package var position: Int
        /// Jobs the worker would still take.
        package var free: Int

        package init(state: State, position: Int, free: Int) {
            self.state = state
            self.position = position
            self.free = free
        }
    }

    /// The worker's configured name.
    package var worker: String
    /// Microseconds since 1970 when the process began; rises with every start.
    package var boot: UInt64
    /// Number of events this process sent before this one; a gap is a loss.
    package var sequence: UInt64
    package var body: Body

    package init(worker: String, boot: UInt64, sequence: UInt64, body: Body) {
        self.worker = worker
        self.boot = boot
        self.sequence = sequence
        self.body = body
    }
}
