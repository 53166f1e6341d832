// What the dispatcher asks its owner to do: messages, news for clients, sockets. The dispatcher itself does no I/O.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

extension Dispatcher {
    package enum Channel: Sendable, Hashable {
        case jobs
        case control
    }

    package enum Action: Sendable, Hashable {
        /// Send the message without waiting; if it would wait, call `undelivered`.
        case send(DispatcherMessage, worker: String, Channel)
        /// To the client, once: a worker has the job.
        case accepted(jobID: String)
        /// To the client of the job.
        case deliver(TokenEvent, jobID: String)
        /// A worker announced itself or has new addresses: open sockets to it.
        case connect(worker: String, jobs: String, control: String)
        /// The worker's sockets are stuck: close them and open new ones.
        case reconnect(worker: String)
        /// The worker is forgotten: close its sockets.
        case disconnect(worker: String)
    }
}
