// A request for one job, in any dialect: the body becomes a job, the job's events a stream. The status is decided
// before the first byte; bytes between the threads: ResponseStream.swift.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
package import HummingbirdCore
import LlorchLog
import LlorchProtocol
import Logging
import NIOCore

/// Streams the events of a job as they are produced.
package struct JobRoute: Sendable {
    let dialect: any Dialect
    let queue: QueueService
    let timing: ResponseStream.Timing
    let limits: JobLimits

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
        // A client that comes back need not know the seed that was chosen.
        if asked.lastEventID == nil {
            asked.job.seed = asked.job.seed ?? GenerationJob.drawnSeed()
            try ClientJobs.requireWorker(queue.serving.snapshot())
        }
        let jobs = ClientJobs(
            submitting: [(asked, dialect.framer(for: asked))], to: queue, timing: timing,
            for: context)
        try await jobs.waitForOpening()
        context.logger.info(
            "stream opens",
            metadata: .of(
                .executeStart,
                [
                    "job_id": "\(asked.job.id)",
                    "seed": "\(asked.job.seed.map { "\($0)" } ?? "chosen before")",
                ]))
        return Response(
            status: .ok, headers: dialect.streamHeaders,
            body: self.body(of: jobs, asked.job.id, context))
    }

    private func body(
        of jobs: ClientJobs, _ jobID: String, _ context: RequestContext
    ) -> ResponseBody {
        ResponseBody { [queue] writer in
            queue.metrics.streamOpened()
            defer { queue.metrics.streamClosed() }
            var total = 0
            do {
                for stream in jobs.streams {
                    while let bytes = try await stream.next() {
                        total += bytes.count
                        try await writer.write(ByteBuffer(bytes: bytes))
                    }
                }
                jobs.finish()
                try await writer.finish(nil)
                context.logger.info(
                    "stream ends",
                    metadata: .of(
                        .executeEnd, ["job_id": "\(jobID)", "bytes": "\(total)"]))
            } catch {
                jobs.giveUp()
                context.logger.notice(
                    "stream cut",
                    metadata: .of(
                        .executeEnd, ["job_id": "\(jobID)", "bytes": "\(total)"]))
                throw error
            }
        }
    }
}
