// POST /v1/completions: the jobs of a request run as any others do, and their events come together in one answer,
// a stream of chunks or one document. Bytes between the threads: ResponseStream.swift.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import HummingbirdCore
import LlorchLog
import LlorchProtocol
import LlorchSystem
import Logging
import NIOCore

/// Runs the jobs of a completion and merges their answers.
struct CompletionRoute: Sendable {
    private let queue: QueueService
    private let timing: ResponseStream.Timing
    private let limits: JobLimits
    private let kept: KeptAnswers

    init(
        queue: QueueService, timing: ResponseStream.Timing, limits: JobLimits,
        kept: KeptAnswers = KeptAnswers()
    ) {
        self.limits = limits
        self.queue = queue
        self.timing = timing
        self.kept = kept
    }

    /// A completion whose jobs the queue has.
    private struct Running: Sendable {
        let request: CompletionRequest
        let document: CompletionDocument
        let framers: [ChoiceFramer]
        let jobs: ClientJobs

        var usage: CompletionUsage {
            let ends = framers.compactMap { framer in
                if case .ended(let end) = framer.outcome { end } else { nil }
            }
            let echo = request.jobs.first?.echo ?? false
            return CompletionUsage(ends, copies: request.copies, echo: echo)
        }
    }

    func respond(to request: Request, context: RequestContext) async throws -> Response {
        let asked = try completion(of: try await request.jsonBody(context))
        let workers = queue.serving.snapshot()
        try ClientJobs.requireWorker(workers)
        let model = try workers.model(named: asked.model)
        let running = try submit(asked, model, request.headers, context)
        try await running.jobs.waitForOpening()
        guard asked.isStream else { return try await whole(running) }
        return Response(
            status: .ok, headers: [.contentType: "text/event-stream", .cacheControl: "no-cache"],
            body: stream(of: running, context))
    }

    private func completion(of body: [UInt8]) throws(Refusal) -> CompletionRequest {
        do {
            return try CompletionRequest(
                parsing: body, maximumTokens: UInt32(clamping: limits.maximumTokens))
        } catch {
            throw Refusal(error)
        }
    }

    private func submit(
        _ asked: CompletionRequest, _ model: ModelFacts, _ headers: HTTPFields,
        _ context: RequestContext
    ) throws(Refusal) -> Running {
        let plan = CompletionJobs(asked)
        var jobs = plan.jobs
        for index in jobs.indices {
            try DeadlineHeader.apply(headers, to: &jobs[index])
            try limits.apply(to: &jobs[index])
        }
        let document = CompletionDocument(
            id: plan.id, created: Timestamp.sinceEpoch().components.seconds, model: model,
            streamsUsage: asked.includesUsage)
        let form: ChoiceFramer.Form = asked.isStream ? .chunks(document) : .whole(kept)
        let framers = jobs.enumerated().map { index, job in
            ChoiceFramer(index: index, job: job, form: form)
        }
        context.logger.info(
            "completion begins",
            metadata: .of(
                .executeStart,
                [
                    "job_id": "\(plan.id)", "choices": "\(jobs.count)", "seed": "\(plan.seed)",
                ]))
        let submitted = ClientJobs(
            submitting: zip(jobs, framers).map { (JobRequest($0), $1) }, to: queue,
            timing: timing, for: context)
        return Running(request: asked, document: document, framers: framers, jobs: submitted)
    }

    // MARK: - One document

    /// Waits for the ends of all jobs; the first that fails ends the others.
    private func whole(_ running: Running) async throws -> Response {
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (stream, framer) in zip(running.jobs.streams, running.framers) {
                    group.addTask { try await Self.end(of: stream, framer) }
                }
                // `waitForAll` would wait for the others when one has failed.
                while try await group.next() != nil {}
            }
        } catch let refusal as Refusal {
            running.jobs.endEarly()
            throw refusal
        } catch {
            running.jobs.giveUp()
            throw error
        }
        running.jobs.finish()
        let usage = running.usage
        let choices = running.framers.map { $0.takeChoice() }
        return Response(
            status: .ok, headers: [.contentType: "application/json"],
            body: ResponseBody(
                byteBuffer: ByteBuffer(
                    bytes: running.document.whole(choices: choices, usage: usage))))
    }

    private static func end(of stream: ResponseStream, _ framer: ChoiceFramer) async throws {
        repeat {
            if case .failed(let failure) = framer.outcome { throw Refusal(failure) }
        } while try await stream.next() != nil
        if case .failed(let failure) = framer.outcome { throw Refusal(failure) }
    }

    // MARK: - Chunks

    private func stream(of running: Running, _ context: RequestContext) -> ResponseBody {
        ResponseBody { [queue] writer in
            queue.metrics.streamOpened()
            defer { queue.metrics.streamClosed() }
            do {
                if let failure = try await Self.writeChunks(of: running, to: &writer) {
                    running.jobs.endEarly()
                    let error = OpenAIErrors().body(of: Refusal(failure))
                    try await writer.write(ByteBuffer(bytes: CompletionDocument.frame(error)))
                } else {
                    running.jobs.finish()
                    try await writer.write(ByteBuffer(bytes: Self.ending(of: running)))
                }
                try await writer.finish(nil)
                context.logger.info(
                    "stream ends",
                    metadata: .of(.executeEnd, ["job_id": "\(running.document.id)"]))
            } catch {
                running.jobs.giveUp()
                context.logger.notice(
                    "stream cut",
                    metadata: .of(.executeEnd, ["job_id": "\(running.document.id)"]))
                throw error
            }
        }
    }

    /// Writes what the jobs say, as it comes; returns the first failure, behind which nothing is written.
    ///
    /// A stream counts as being written until it is asked for more, so a client that does not read is found out
    /// as in any other answer.
    private static func writeChunks(
        of running: Running, to writer: inout any ResponseBodyWriter
    ) async throws -> JobFailure? {
        let streams = running.jobs.streams
        return try await withThrowingTaskGroup(of: (choice: Int, bytes: [UInt8]?).self) { group in
            for (choice, stream) in streams.enumerated() {
                group.addTask { (choice, try await stream.next()) }
            }
            while let (choice, bytes) = try await group.next() {
                guard let bytes else {
                    if case .failed(let failure) = running.framers[choice].outcome {
                        group.cancelAll()
                        return failure
                    }
                    continue
                }
                try await writer.write(ByteBuffer(bytes: bytes))
                group.addTask { (choice, try await streams[choice].next()) }
            }
            return nil
        }
    }

    private static func ending(of running: Running) -> [UInt8] {
        let usage =
            running.document.streamsUsage
            ? running.document.chunk(choices: [], usage: running.usage) : []
        return usage + CompletionDocument.frame(Array("[DONE]".utf8))
    }
}
