// Bytes to WorkerEvent. Unknown members are ignored, so that a newer worker may say more.
// The way back: WorkerEvent+Serialization.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON

extension WorkerEvent {
    /// Reads one frame.
    package init(parsing bytes: Span<UInt8>) throws(WireError) {
        let envelope = try Envelope(parsing: bytes, limits: .wire) { _ in nil }
        var reader = FieldReader(envelope.object)
        let worker = reader.required("worker", .text)
        let boot = reader.required("boot", .u64)
        let sequence = reader.required("seq", .u64)
        let job = reader.reference()
        let body = Self.body(envelope.type, job, &reader)
        guard reader.problems.isEmpty, let worker, let boot, let sequence, let body else {
            if reader.problems.isEmpty {
                throw WireError(malformed: "the type is none of the events of this version")
            }
            throw WireError(malformed: "event", problems: reader.problems)
        }
        self.init(worker: worker, boot: boot, sequence: sequence, body: body)
    }

    package init(parsing bytes: [UInt8]) throws(WireError) {
        try self.init(parsing: bytes.span)
    }

    /// Nil for an unknown type, or when the reader noted a problem.
    private static func body(
        _ type: String, _ job: JobReference?, _ reader: inout FieldReader
    ) -> Body? {
        switch type {
        case "heartbeat": return reader.status().map(Body.heartbeat)
        case "bye": return reader.required("reason", .text).map(Body.bye)
        case "error":
            guard let failure = reader.failure() else { return nil }
            return job.map { .job($0, .error(failure)) } ?? .refusal(failure)
        case "accepted":
            guard let acceptance = reader.acceptance(), let job = job ?? reader.missingJob()
            else { return nil }
            return .accepted(job, acceptance)
        case "started", "token", "metrics", "end":
            guard let event = reader.tokenEvent(type), let job = job ?? reader.missingJob()
            else { return nil }
            return .job(job, event)
        default: return nil
        }
    }
}

extension FieldReader {
    /// Nil when neither field is there; one without the other is a problem.
    fileprivate mutating func reference() -> JobReference? {
        guard object["job_id"] != nil || object["attempt"] != nil else { return nil }
        guard let jobID = required("job_id", .text), let attempt = required("attempt", .u32)
        else { return nil }
        return JobReference(jobID: jobID, attempt: attempt)
    }

    fileprivate mutating func missingJob() -> JobReference? {
        if problems.isEmpty { _ = required("job_id", .text) }
        return nil
    }

    fileprivate mutating func status() -> WorkerStatus? {
        let state = required("state", oneOf: WorkerStatus.State.self)
        let jobs = required("jobs", .text)
        let control = required("control", .text)
        let running = optional("running", FieldType.text.orNull) ?? nil
        let queued = required("queued", .count)
        let free = required("free", .count)
        let model = (optional("model", FieldType.object.orNull) ?? nil).flatMap { facts(in: $0) }
        let loadProgress = optional("load_progress", FieldType.f64.orNull) ?? nil
        let crashedOn = optional("crashed_on", FieldType.text.orNull) ?? nil
        let outboxBytes = optional("outbox_bytes", FieldType.count.orNull) ?? nil
        let malformed = optional("malformed", FieldType.count.orNull) ?? nil
        guard let state, let jobs, let control, let queued, let free else { return nil }
        return WorkerStatus(
            state: state, jobs: jobs, control: control, running: running, queued: queued,
            free: free, model: model, loadProgress: loadProgress, crashedOn: crashedOn,
            outboxBytes: outboxBytes, malformed: malformed)
    }

    private mutating func facts(in object: JSONObject) -> ModelFacts? {
        var reader = FieldReader(object)
        let name = reader.required("name", .text)
        let digest = reader.required("digest", .text)
        let precision = reader.required("precision", .text)
        let contextLength = reader.required("context_length", .count)
        let vocabularySize = reader.required("vocabulary_size", .count)
        let memoryBytes = reader.required("memory_bytes", .u64)
        let tokenizerKind = reader.optional("tokenizer_kind", FieldType.text.orNull) ?? nil
        for problem in reader.problems { note(problem) }
        guard let name, let digest, let precision, let contextLength, let vocabularySize,
            let memoryBytes
        else { return nil }
        return ModelFacts(
            name: name, digest: digest, precision: precision, contextLength: contextLength,
            vocabularySize: vocabularySize, memoryBytes: memoryBytes,
            tokenizerKind: tokenizerKind)
    }

    fileprivate mutating func acceptance() -> WorkerEvent.Acceptance? {
        let state = required("state", oneOf: WorkerEvent.Acceptance.State.self)
        let position = required("position", .count)
        let free = required("free", .count)
        guard let state, let position, let free else { return nil }
        return WorkerEvent.Acceptance(state: state, position: position, free: free)
    }

    fileprivate mutating func tokenEvent(_ type: String) -> TokenEvent? {
        switch type {
        case "started": started().map(TokenEvent.started)
        case "token": token().map(TokenEvent.token)
        case "metrics": metrics().map(TokenEvent.metrics)
        default: end().map(TokenEvent.end)
        }
    }

    private mutating func started() -> TokenEvent.Started? {
        let model = required("model", .text)
        let startedAt = required("started_at", .text)
        let seed = required("seed", .u64)
        let promptTokens = required("prompt_tokens", .count)
        let queued = required("queued_ms", .count)
        guard let model, let startedAt, let seed, let promptTokens, let queued else { return nil }
        return TokenEvent.Started(
            model: model, startedAt: startedAt, seed: seed, promptTokens: promptTokens,
            queuedMilliseconds: queued)
    }

    private mutating func token() -> TokenEvent.TokenPiece? {
        let text = required("t", .text)
        let ids = required("ids", FieldType.u32.list)
        let index = required("i", .count)
        let logProbabilities = logProbabilities()
        guard let text, let ids, let index else { return nil }
        guard logProbabilities.isEmpty || logProbabilities.map(\.id) == ids else {
            note(
                FieldError(
                    field: "logprobs", constraint: "valid_ids",
                    message: "logprobs must have one entry for each of ids"))
            return nil
        }
        return TokenEvent.TokenPiece(
            text: text, ids: ids, index: index, logProbabilities: logProbabilities)
    }

    private mutating func metrics() -> TokenEvent.Metrics? {
        let tokensOut = required("tokens_out", .count)
        let decodeTime = required("decode_time_ms", .count)
        let rate = required("tokens_per_sec", .f64)
        let vramBytes = optional("vram_bytes", FieldType.u64.orNull) ?? nil
        guard let tokensOut, let decodeTime, let rate else { return nil }
        return TokenEvent.Metrics(
            tokensOut: tokensOut, decodeTimeMilliseconds: decodeTime, tokensPerSecond: rate,
            vramBytes: vramBytes ?? 0)
    }

    private mutating func end() -> TokenEvent.End? {
        let tokensOut = required("tokens_out", .count)
        let decodeTime = required("decode_time_ms", .count)
        let reason = required("stop_reason", oneOf: StopReason.self)
        let matched = optional("stop_sequence_matched", FieldType.text.orNull) ?? nil
        let promptTokens = required("prompt_tokens", .count)
        let prefill = required("prefill_ms", .count)
        let cached = optional("cached_tokens", FieldType.count.orNull) ?? nil
        let endMark = endMark()
        guard let tokensOut, let decodeTime, let reason, let promptTokens, let prefill
        else { return nil }
        return TokenEvent.End(
            tokensOut: tokensOut, decodeTimeMilliseconds: decodeTime, stopReason: reason,
            stopSequenceMatched: matched, promptTokens: promptTokens,
            prefillMilliseconds: prefill, cachedTokens: cached ?? 0, endMark: endMark)
    }

    /// A code that this version does not know becomes `INTERNAL` with the code in the message, because the
    /// job has ended all the same.
    fileprivate mutating func failure() -> JobFailure? {
        let spelling = required("code", .text)
        let message = required("message", .text)
        let retriable = required("retriable", .flag)
        let entries = (optional("errors", FieldType.object.list.orNull) ?? nil) ?? []
        var errors: [FieldError] = []
        for entry in entries {
            var reader = FieldReader(entry)
            let field = reader.required("field", .text)
            let constraint = reader.required("constraint", .text)
            let message = reader.required("message", .text)
            let value = reader.optional("value", FieldType.text.orNull) ?? nil
            for problem in reader.problems { note(problem) }
            guard let field, let constraint, let message else { continue }
            errors.append(
                FieldError(field: field, constraint: constraint, message: message, value: value))
        }
        guard let spelling, let message, let retriable else { return nil }
        guard let code = JobFailure.Code(rawValue: spelling) else {
            return JobFailure(
                .internal, "\(spelling): \(message)", retriable: retriable, errors: errors)
        }
        return JobFailure(code, message, retriable: retriable, errors: errors)
    }
}
