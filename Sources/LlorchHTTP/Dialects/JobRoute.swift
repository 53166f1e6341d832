// A request for a job, in any dialect: the body becomes a job, the job's events a stream. The status is decided
// before the first byte; bytes between the threads: ResponseStream.swift.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
package import HummingbirdCore
import LlorchLog
import LlorchProtocol
import LlorchQueue
import LlorchSystem
import Logging
import NIOCore

/// Streams the events of a job as they are produced.
package struct JobRoute: Sendable {
    let dialect: any Dialect
    let queue: QueueService
    let timing: ResponseStream.Timing
    let limits: JobLimits

    /// A worker gives up a job of a shim that has not asked for it for this long.
    private static let leaseMilliseconds: UInt32 = 15_000

    package init(
        _ dialect: any Dialect, queue: QueueService, timing: ResponseStream.Timing,
        limits: JobLimits = JobLimits()
    ) {
        self.limits = limits
        self.dialect = dialect
        self.queue = queue
        self.timing = timing
    }

    package func respond(
        to request: Request, context: RequestContext
    ) async throws -> Response {
        let body = try await request.jsonBody(context)
        var asked = try dialect.jobRequest(headers: request.headers, body: body)
        try limits.apply(to: &asked.job)
        asked.job.leaseMilliseconds = Self.leaseMilliseconds
        asked.job.correlationID = context.correlationID
        // A client that comes back need not know the seed that was chosen.
        if asked.lastEventID == nil {
            asked.job.seed = asked.job.seed ?? GenerationJob.drawnSeed()
            if let refusal = whyNoWorker() { throw Refusal(refusal) }
        }

        let jobID = asked.job.id
        let stream = ResponseStream(
            framer: dialect.framer(for: asked), timing: timing, clock: MonotonicClock.now,
            close: { [channel = context.channel] in channel.close(promise: nil) })
        let client = ClientPresence(channel: context.channel)
        client.onGone { [queue] in queue.abandon(jobID, stream) }
        if let lastEventID = asked.lastEventID {
            queue.resume(asked.job, stream, lastEventID: lastEventID)
        } else {
            queue.submit(asked.job, stream)
        }
        do {
            if case .refused(let failure) = try await stream.opening() {
                client.forget()
                throw Refusal(failure)
            }
        } catch let refusal as Refusal {
            throw refusal
        } catch {
            client.forget()
            queue.abandon(jobID, stream)
            throw error
        }
        context.logger.info(
            "stream opens",
            metadata: .of(
                .executeStart,
                [
                    "job_id": "\(jobID)",
                    "seed": "\(asked.job.seed.map { "\($0)" } ?? "chosen before")",
                ]))
        return Response(
            status: .ok, headers: dialect.streamHeaders,
            body: self.body(of: stream, jobID, client, context))
    }

    /// A job is not taken while nobody could run it.
    private func whyNoWorker() -> JobFailure? {
        switch queue.serving.snapshot().state {
        case .idle, .busy, .stalled:
            nil
        case .loading:
            JobFailure(.workerLost, "the worker is loading its model; try again soon")
        case .draining:
            JobFailure(.draining, "every worker is leaving; try again soon")
        case .noWorker, .lost:
            JobFailure(.workerLost, "no worker is connected; start one or try again later")
        }
    }

    private func body(
        of stream: ResponseStream, _ jobID: String, _ client: ClientPresence,
        _ context: RequestContext
    ) -> ResponseBody {
        ResponseBody { [queue] writer in
            queue.metrics.streamOpened()
            defer { queue.metrics.streamClosed() }
            var total = 0
            do {
                while let bytes = try await stream.next() {
                    total += bytes.count
                    try await writer.write(ByteBuffer(bytes: bytes))
                }
                client.forget()
                try await writer.finish(nil)
                context.logger.info(
                    "stream ends",
                    metadata: .of(
                        .executeEnd, ["job_id": "\(jobID)", "bytes": "\(total)"]))
            } catch {
                client.forget()
                queue.abandon(jobID, stream)
                context.logger.notice(
                    "stream cut",
                    metadata: .of(
                        .executeEnd, ["job_id": "\(jobID)", "bytes": "\(total)"]))
                throw error
            }
        }
    }
}
