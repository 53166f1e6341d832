// POST /execute: a body becomes a job, its events a stream. The status is decided before the first
// byte; bytes and events: ResponseStream.swift, EventFramer.swift.
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPTypes
package import Hummingbird
import LlorchLog
import LlorchProtocol
import LlorchQueue
import LlorchSystem
import Logging
import NIOCore

/// Streams the events of a job as they are produced.
package struct ExecuteRoute: Sendable {
    let queue: QueueService
    let timing: ResponseStream.Timing

    /// Milliseconds after which a worker gives up a job of a shim that no longer asks for it.
    static let lease: UInt32 = 15_000

    package func respond(to request: Request, context: ShimContext) async throws -> Response {
        var job = try await readJob(request)
        let lastEventID = try Self.lastEventID(of: request)
        let seed = job.seed ?? .random(in: .min ... .max)
        // One who comes back need not know the seed that was chosen.
        if lastEventID == nil { job.seed = seed }
        job.leaseMilliseconds = Self.lease
        job.correlationID = context.correlationID
        if let name = HTTPField.Name(DeadlineHeader.name), let text = request.headers[name] {
            job.deadlineMilliseconds = try DeadlineHeader.millisecondsLeft(text)
        }
        if lastEventID == nil, let refusal = whyNoWorker() { throw Refusal(refusal) }

        let stream = ResponseStream(
            jobID: job.id, seed: seed, lastEventID: lastEventID, timing: timing,
            clock: { MonotonicClock.milliseconds() }, timeOfDay: { Date.now.ISO8601Format() },
            close: { [channel = context.channel] in channel.close(promise: nil) })
        let client = ClientPresence(channel: context.channel)
        client.onGone { [queue, id = job.id] in queue.abandon(id, stream) }
        if let lastEventID {
            queue.resume(job, stream, lastEventID: lastEventID)
        } else {
            queue.submit(job, stream)
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
            queue.abandon(job.id, stream)
            throw error
        }
        context.logger.info(
            "stream opens", metadata: ["job_id": LogText.metadata(job.id), "seed": "\(seed)"])
        return Response(
            status: .ok,
            headers: [.contentType: "text/event-stream", .cacheControl: "no-cache"],
            body: body(stream, job.id, client, context))
    }

    private func readJob(_ request: Request) async throws -> GenerationJob {
        let bytes = try await request.jsonBody()
        do throws(WireError) {
            return try ExecuteRequest(parsing: bytes).job
        } catch {
            throw Refusal(error)
        }
    }

    /// Of a client that had part of the answer before: the `id` of the last frame it has.
    private static func lastEventID(of request: Request) throws -> Int? {
        guard let name = HTTPField.Name("Last-Event-ID"), let text = request.headers[name] else {
            return nil
        }
        guard let id = Int(text), id >= 0 else {
            throw Refusal(
                Refusal.lastEventID("Last-Event-ID must be the id of a frame, a count of tokens"))
        }
        return id
    }

    /// A job is not taken where nobody could run it now.
    private func whyNoWorker() -> JobFailure? {
        let workers = queue.directory.snapshot()
        guard workers.serving.isEmpty else { return nil }
        return switch workers.state {
        case "loading": JobFailure(.workerLost, "the worker is loading its model; try again soon")
        case "draining": JobFailure(.draining, "every worker is leaving; try again soon")
        case "stalled": nil
        default: JobFailure(.workerLost, "no worker is connected; start one or try again later")
        }
    }

    private func body(
        _ stream: ResponseStream, _ jobID: String, _ client: ClientPresence, _ context: ShimContext
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
                    metadata: ["job_id": LogText.metadata(jobID), "bytes": "\(total)"])
            } catch {
                client.forget()
                queue.abandon(jobID, stream)
                context.logger.notice(
                    "stream cut",
                    metadata: ["job_id": LogText.metadata(jobID), "bytes": "\(total)"])
                throw error
            }
        }
    }
}
