// What the dispatcher asks its owner to do: messages, news for clients, sockets. It does none of it itself.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

extension Dispatcher {
    package enum Channel: Sendable, Hashable {
        case jobs
        case control
    }

    package enum Action: Sendable, Hashable {
        /// Send without waiting; answer with `undelivered` where it would wait.
        case send(DispatcherMessage, worker: String, Channel)
        /// To the client, once: a worker has the job.
        case accepted(jobID: String)
        /// To the client of the job.
        case deliver(TokenEvent, jobID: String)
        /// A worker announced itself, or moved: open sockets to it.
        case connect(worker: String, jobs: String, control: String)
        /// Its socket is stuck: close it and open a new one.
        case reconnect(worker: String)
        /// Close the sockets.
        case disconnect(worker: String)
    }
}
