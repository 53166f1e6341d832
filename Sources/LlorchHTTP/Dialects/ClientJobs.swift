// The jobs that one request asks for, from their submission until the client has the last byte or has gone. How
// the answer looks is the dialect's; which job runs when is the queue's.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchSystem
import NIOCore

/// The jobs of one client, which end together: a client that leaves wants none of them.
package struct ClientJobs: Sendable {
    /// One for each job, in the order of the request.
    package let streams: [ResponseStream]
    private let requests: [JobRequest]
    private let queue: QueueService
    private let client: ClientPresence

    /// A worker gives up a job of a shim that has not asked for it for this long.
    private static let leaseMilliseconds: UInt32 = 15_000

    /// Gives the jobs to the queue, each with the framer of its answer.
    package init(
        submitting requests: [(request: JobRequest, framer: any StreamFramer)],
        to queue: QueueService, timing: ResponseStream.Timing, for context: RequestContext
    ) {
        self.queue = queue
        client = ClientPresence(channel: context.channel)
        streams = requests.map { request in
            ResponseStream(
                framer: request.framer, timing: timing, clock: MonotonicClock.now,
                close: { [channel = context.channel] in channel.close(promise: nil) })
        }
        self.requests = requests.map { entry in
            var request = entry.request
            request.job.leaseMilliseconds = Self.leaseMilliseconds
            request.job.correlationID = context.correlationID
            return request
        }
        client.onGone { [self] in abandon() }
        for (request, stream) in zip(self.requests, streams) {
            if let lastEventID = request.lastEventID {
                queue.resume(request.job, stream, lastEventID: lastEventID)
            } else {
                queue.submit(request.job, stream)
            }
        }
    }

    /// Waits until it is known of each job how its answer begins.
    ///
    /// - Throws: the refusal of the first job that is refused; the other jobs are then over.
    package func waitForOpening() async throws {
        do {
            for stream in streams {
                if case .refused(let failure) = try await stream.opening() {
                    throw Refusal(failure)
                }
            }
        } catch let refusal as Refusal {
            endEarly()
            throw refusal
        } catch {
            giveUp()
            throw error
        }
    }

    /// The client has all of the answer.
    package func finish() {
        client.forget()
    }

    /// Ends the jobs that still run, for an answer that says no more of them.
    package func endEarly() {
        client.forget()
        for (request, stream) in zip(requests, streams) where !stream.isTaken {
            queue.abandon(request.job.id, stream, closingConnection: false)
        }
    }

    /// Ends the jobs and the connection.
    package func giveUp() {
        client.forget()
        abandon()
    }

    private func abandon() {
        for (request, stream) in zip(requests, streams) {
            queue.abandon(request.job.id, stream)
        }
    }

    /// - Throws: 503 while nobody could run a job.
    package static func requireWorker(_ workers: Serving.Snapshot) throws(Refusal) {
        let failure: JobFailure
        switch workers.state {
        case .idle, .busy, .stalled: return
        case .loading:
            failure = JobFailure(.workerLost, "the worker is loading its model; try again soon")
        case .draining:
            failure = JobFailure(.draining, "every worker is leaving; try again soon")
        case .noWorker, .lost:
            failure = JobFailure(
                .workerLost, "no worker is connected; start one or try again later")
        }
        throw Refusal(failure)
    }
}
