// WorkerEvent to bytes, and the members of a TokenEvent for HTTP, which frames them differently.
// The way back: WorkerEvent+Parsing.swift.
// SPDX-License-Identifier: Apache-2.0

package import LlorchJSON

extension WorkerEvent {
    /// One frame; parsing it gives this event again.
    package func serialized() -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("v", WireProtocol.version)
        writer.member("type", wireType)
        writer.member("worker", worker)
        writer.member("boot", boot)
        writer.member("seq", sequence)
        switch body {
        case .heartbeat(let status): writer.members(of: status)
        case .accepted(let job, let acceptance):
            writer.members(of: job)
            writer.member("state", acceptance.state.rawValue)
            writer.member("position", acceptance.position)
            writer.member("free", acceptance.free)
        case .job(let job, let event):
            writer.members(of: job)
            event.writeMembers(to: &writer)
        case .refusal(let failure): failure.writeMembers(to: &writer)
        case .bye(let reason): writer.member("reason", reason)
        }
        writer.endObject()
        return writer.bytes
    }

    private var wireType: String {
        switch body {
        case .heartbeat: "heartbeat"
        case .accepted: "accepted"
        case .job(_, let event): event.wireType
        case .refusal: "error"
        case .bye: "bye"
        }
    }
}

extension TokenEvent {
    /// The value of `type`: `started`, `token`, `metrics`, `end` or `error`.
    package var wireType: String {
        switch self {
        case .started: "started"
        case .token: "token"
        case .metrics: "metrics"
        case .end: "end"
        case .error: "error"
        }
    }

    /// Writes the members that are not the envelope's, into an object that is open.
    package func writeMembers(to writer: inout JSONWriter) {
        switch self {
        case .started(let started):
            writer.member("model", started.model)
            writer.member("started_at", started.startedAt)
            writer.member("seed", started.seed)
            writer.member("prompt_tokens", started.promptTokens)
            writer.member("queued_ms", started.queuedMilliseconds)
        case .token(let piece):
            writer.member("t", piece.text)
            writer.member("ids", piece.ids)
            writer.member("i", piece.index)
            if !piece.logProbabilities.isEmpty {
                writer.key("logprobs")
                writer.beginArray()
                for token in piece.logProbabilities { writer.object(of: token) }
                writer.endArray()
            }
        case .metrics(let metrics):
            let rate = metrics.tokensPerSecond
            writer.member("tokens_out", metrics.tokensOut)
            writer.member("decode_time_ms", metrics.decodeTimeMilliseconds)
            writer.member("tokens_per_sec", rate.isFinite ? rate : 0)
            writer.member("vram_bytes", metrics.vramBytes)
        case .end(let end):
            writer.member("tokens_out", end.tokensOut)
            writer.member("decode_time_ms", end.decodeTimeMilliseconds)
            writer.member("stop_reason", end.stopReason.rawValue)
            if let matched = end.stopSequenceMatched {
                writer.member("stop_sequence_matched", matched)
            }
            writer.member("prompt_tokens", end.promptTokens)
            writer.member("prefill_ms", end.prefillMilliseconds)
            writer.member("cached_tokens", end.cachedTokens)
            if let mark = end.endMark {
                writer.key("end_mark")
                writer.object(of: mark)
            }
        case .error(let failure): failure.writeMembers(to: &writer)
        }
    }
}

extension JobFailure {
    /// Writes `code`, `message`, `retriable` and, where there are any, `errors`.
    package func writeMembers(to writer: inout JSONWriter) {
        writer.member("code", code.rawValue)
        writer.member("message", message)
        writer.member("retriable", retriable)
        if !errors.isEmpty { writer.errors(errors) }
    }
}

extension JSONWriter {
    fileprivate mutating func members(of status: WorkerStatus) {
        member("state", status.state.rawValue)
        member("jobs", status.jobs)
        member("control", status.control)
        key("running")
        if let running = status.running { string(running) } else { null() }
        member("queued", status.queued)
        member("free", status.free)
        if let model = status.model {
            key("model")
            beginObject()
            member("name", model.name)
            member("digest", model.digest)
            member("precision", model.precision)
            member("context_length", model.contextLength)
            member("vocabulary_size", model.vocabularySize)
            member("memory_bytes", model.memoryBytes)
            if let kind = model.tokenizerKind { member("tokenizer_kind", kind) }
            endObject()
        }
        if let progress = status.loadProgress {
            member("load_progress", progress.isFinite ? progress : 0)
        }
        if let crashedOn = status.crashedOn { member("crashed_on", crashedOn) }
        if let outboxBytes = status.outboxBytes { member("outbox_bytes", outboxBytes) }
        if let malformed = status.malformed { member("malformed", malformed) }
    }
}
