// Runs one job from its start to its terminal event; the only place where errors of the engine become events.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchLog
import LlorchProtocol
import LlorchQueue
import LlorchSystem
import Logging

enum JobRunner {
    /// Runs the next job of the queue, looking at the sockets after every step.
    ///
    /// The table may end the job meanwhile, because the job is cancelled or too late or the worker leaves.
    /// Whatever the backend does, the job gets one terminal event and the next job finds the backend idle.
    static func runNext<Backend: InferenceBackend & ~Copyable>(
        _ backend: inout Backend, _ link: WorkerLink
    ) throws(ZMQError) {
        guard let next = link.startNext() else { return }
        defer { link.noteIdle() }
        var job = next.job
        if job.seed == nil { job.seed = GenerationJob.drawnSeed() }
        var logger = link.logger
        logger[metadataKey: "job_id"] = "\(job.id)"
        if let correlation = job.correlationID {
            logger[metadataKey: "correlation_id"] = "\(correlation)"
        }
        logger.info(
            "job begins",
            metadata: .of(.executeStart, ["queued_ms": "\(next.queuedMilliseconds)"]))
        let begin = link.now
        let last = try run(job, next.queuedMilliseconds, &backend, link)
        logger.info(
            "job ended", metadata: .of(.executeEnd, last.summary(after: link.now - begin)))
    }

    /// Returns the terminal event; nil if the table ended the job.
    private static func run<Backend: InferenceBackend & ~Copyable>(
        _ job: GenerationJob, _ queuedMilliseconds: Int, _ backend: inout Backend,
        _ link: WorkerLink
    ) throws(ZMQError) -> TokenEvent? {
        do throws(JobFailure) {
            try backend.start(job, queuedMilliseconds: queuedMilliseconds)
        } catch {
            try link.emit(.error(error))
            return .error(error)
        }
        // The table may have ended the job, of which the backend does not know.
        defer { backend.cancel() }
        var isStarted = false
        while true {
            try link.look()
            guard link.table.running != nil else { return nil }
            if link.outbox.isFull {
                try Pause.wait(link)
                continue
            }
            switch backend.step() {
            case .working:
                link.observe(.stepDone)
            case .event(let event) where follows(event, isStarted: isStarted):
                isStarted = true
                try link.emit(event)
                if event.isTerminal { return event }
            case .event:
                return try fail("the engine's events are out of order", link)
            case .finished:
                return try fail("the engine stopped without an end", link)
            }
        }
    }

    /// The grammar `started (token | metrics)* (end | error)`, or a lone `error`.
    private static func follows(_ event: TokenEvent, isStarted: Bool) -> Bool {
        switch event {
        case .started: !isStarted
        case .token, .metrics, .end: isStarted
        case .error: true
        }
    }

    private static func fail(
        _ sentence: String, _ link: WorkerLink
    ) throws(ZMQError) -> TokenEvent {
        let event = TokenEvent.error(JobFailure(.internal, sentence))
        try link.emit(event)
        return event
    }
}

extension TokenEvent? {
    /// What a log may say of a job's end: counts and codes, no text.
    fileprivate func summary(after total: Duration) -> Logger.Metadata {
        var summary: Logger.Metadata = ["total_ms": "\(total.wholeMilliseconds)"]
        switch self {
        case .end(let end):
            summary["outcome"] = "\(end.stopReason.rawValue)"
            summary["prompt_tokens"] = "\(end.promptTokens)"
            summary["tokens_out"] = "\(end.tokensOut)"
            summary["prefill_ms"] = "\(end.prefillMilliseconds)"
            summary["decode_ms"] = "\(end.decodeTimeMilliseconds)"
        case .error(let failure): summary["outcome"] = "\(failure.code.rawValue)"
        default: summary["outcome"] = "ended by the queue"
        }
        return summary
    }
}
