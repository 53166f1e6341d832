// DispatcherMessage as bytes and back. Unknown members are an error: a misspelt limit must not
// silently be no limit. The format is described in docs/wire-protocol.md.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON

extension DispatcherMessage {
    /// Reads one frame.
    ///
    /// The error of a `job` names the job when `job_id` could be read, with attempt 0 when that
    /// could not. The errors of other types name none: an answer to that job would end it.
    package init(parsing bytes: Span<UInt8>) throws(WireError) {
        let envelope = try Envelope(parsing: bytes, limits: .wire, referenced: Self.reference)
        var reader = FieldReader(envelope.object)
        switch envelope.type {
        case "job":
            self = try Self.job(envelope.object)
            return
        case "cancel", "ack":
            let jobID = reader.required("job_id", .text)
            let attempt = reader.required("attempt", .positiveU32)
            reader.refuseFields(notIn: ["v", "type", "job_id", "attempt"])
            if reader.problems.isEmpty, let jobID, let attempt {
                let reference = JobReference(jobID: jobID, attempt: attempt)
                self = envelope.type == "ack" ? .acknowledge(reference) : .cancel(reference)
                return
            }
        case "drain":
            reader.refuseFields(notIn: ["v", "type"])
            if reader.problems.isEmpty {
                self = .drain
                return
            }
        case "ping":
            let jobID = reader.optional("job_id", .text)
            reader.refuseFields(notIn: ["v", "type", "job_id"])
            if reader.problems.isEmpty {
                self = .ping(jobID: jobID)
                return
            }
        default:
            throw WireError(malformed: "type must be job, cancel, ack, drain or ping")
        }
        throw WireError(malformed: envelope.type, problems: reader.problems)
    }

    package init(parsing bytes: [UInt8]) throws(WireError) {
        try self.init(parsing: bytes.span)
    }

    private static func job(_ object: JSONObject) throws(WireError) -> DispatcherMessage {
        var reader = FieldReader(object)
        var fields = JobFields(sharedFrom: &reader)
        fields.readQueueFields(from: &reader)
        let attempt = reader.required("attempt", .positiveU32)
        reader.refuseFields(notIn: jobNames)
        guard reader.problems.isEmpty, let attempt else {
            let shown = Array(reader.problems.prefix(JobValidation.reportedErrors))
            throw WireError(.schema, JobFailure(invalid: shown), job: reference(object))
        }
        do {
            return .job(try JobValidation.job(from: fields), attempt: attempt)
        } catch {
            throw WireError(.invalid, JobFailure(invalid: error.errors), job: reference(object))
        }
    }

    /// The job that a `job` message is about, if its id is short enough for an answer.
    private static func reference(_ object: JSONObject) -> JobReference? {
        guard object["type"]?.asString == "job", let jobID = object["job_id"]?.asString,
            jobID.utf8.count <= JobValidation.jobIDBytes
        else { return nil }
        let attempt = object["attempt"].flatMap(FieldType.positiveU32.convert)
        return JobReference(jobID: jobID, attempt: attempt ?? 0)
    }

    private static let jobNames =
        JobFields.sharedNames.union(JobFields.queueNames).union(["v", "type", "attempt"])
}

extension DispatcherMessage {
    /// One frame; parsing it gives this message again.
    package func serialized() -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("v", WireProtocol.version)
        switch self {
        case .job(let job, let attempt):
            writer.member("type", "job")
            writer.member("job_id", job.id)
            writer.member("attempt", attempt)
            writer.members(of: job)
        case .cancel(let reference):
            writer.member("type", "cancel")
            writer.members(of: reference)
        case .acknowledge(let reference):
            writer.member("type", "ack")
            writer.members(of: reference)
        case .drain:
            writer.member("type", "drain")
        case .ping(let jobID):
            writer.member("type", "ping")
            if let jobID { writer.member("job_id", jobID) }
        }
        writer.endObject()
        return writer.bytes
    }
}

extension JSONWriter {
    mutating func members(of reference: JobReference) {
        member("job_id", reference.jobID)
        member("attempt", reference.attempt)
    }

    /// All members but the id; a member with its default value is left out, except `max_tokens`.
    fileprivate mutating func members(of job: GenerationJob) {
        let standard = SamplingParameters.default
        let sampling = job.sampling
        switch job.prompt {
        case .text(let text): member("prompt", text)
        case .ids(let ids): member("prompt_ids", ids)
        }
        member("max_tokens", job.maximumTokens)
        if sampling.temperature != standard.temperature {
            member("temperature", sampling.temperature)
        }
        if sampling.topK != standard.topK { member("top_k", sampling.topK) }
        if sampling.topP != standard.topP { member("top_p", sampling.topP) }
        if sampling.minP != standard.minP { member("min_p", sampling.minP) }
        if sampling.repetitionPenalty != standard.repetitionPenalty {
            member("repetition_penalty", sampling.repetitionPenalty)
        }
        if !job.stopSequences.isEmpty { member("stop", job.stopSequences) }
        if job.specialTokens { member("special_tokens", true) }
        if job.echo { member("echo", true) }
        if let count = job.logProbabilities { member("logprobs", count) }
        if let seed = job.seed { member("seed", seed) }
        if let deadline = job.deadlineMilliseconds { member("deadline_ms", deadline) }
        if let lease = job.leaseMilliseconds { member("lease_ms", lease) }
        if !job.resumeIDs.isEmpty { member("resume_ids", job.resumeIDs) }
        if let id = job.correlationID { member("correlation_id", id) }
    }
}
