// The one place that says which jobs are valid, for the queue and for HTTP.
// Clients may compare the names of constraints, the texts and the order of errors, so they do not change.
// SPDX-License-Identifier: Apache-2.0

/// The members of a request, of the right types but not yet checked.
struct JobFields {
    var id = ""
    var prompt: String?
    var promptIDs: [TokenID]?
    var maximumTokens: UInt32?
    var temperature: Float?
    var seed: UInt64?
    var topP: Float?
    var topK: UInt32?
    var repetitionPenalty: Float?
    var stop: [String]?
    var minP: Float?
    var specialTokens: Bool?
    var echo: Bool?
    var logProbabilities: UInt32?
    var deadlineMilliseconds: UInt32?
    var leaseMilliseconds: UInt32?
    var resumeIDs: [TokenID]?
    var correlationID: String?

    /// Reads what HTTP and the queue share; problems stay in the reader.
    init(sharedFrom reader: inout FieldReader) {
        id = reader.required("job_id", .text) ?? ""
        // A request without either is told of the member that it most likely meant.
        prompt =
            reader.has("prompt_ids")
            ? reader.optional("prompt", .text) : reader.required("prompt", .text)
        promptIDs = reader.optional("prompt_ids", Self.idsType)
        maximumTokens = reader.optional("max_tokens", .u32)
        temperature = reader.optional("temperature", .f32)
        seed = reader.optional("seed", Self.seedType) ?? nil
        topP = reader.optional("top_p", .f32)
        topK = reader.optional("top_k", .u32)
        repetitionPenalty = reader.optional("repetition_penalty", .f32)
        stop = reader.optional("stop", Self.stopType)
        minP = reader.optional("min_p", .f32)
        specialTokens = reader.optional("special_tokens", .flag)
        echo = reader.optional("echo", .flag)
        logProbabilities = reader.optional("logprobs", .u32)
    }

    /// Reads what only the queue has.
    mutating func readQueueFields(from reader: inout FieldReader) {
        deadlineMilliseconds = reader.optional("deadline_ms", .u32)
        leaseMilliseconds = reader.optional("lease_ms", .u32)
        resumeIDs = reader.optional("resume_ids", Self.idsType)
        correlationID = reader.optional("correlation_id", .text)
    }

    // Made once, because their names are composed of strings.
    private static let seedType = FieldType.u64.orNull
    private static let stopType = FieldType.text.list
    private static let idsType = FieldType.u32.list

    static let sharedNames: Set<String> = [
        "job_id", "prompt", "prompt_ids", "max_tokens", "temperature", "seed", "top_p", "top_k",
        "repetition_penalty", "stop", "min_p", "special_tokens", "echo", "logprobs",
    ]

    static let queueNames: Set<String> = [
        "deadline_ms", "lease_ms", "resume_ids", "correlation_id",
    ]
}

/// What a job may be.
package enum JobValidation {
    package static let promptScalars = 1...32_768
    package static let promptIDCount = 1...16_384
    package static let maximumTokens: ClosedRange<UInt32> = 1...2048
    package static let logProbabilities: ClosedRange<UInt32> = 0...10
    package static let stopSequenceCount = 4
    package static let stopSequenceBytes = 100
    /// With `echo`, ids of the prompt come on top.
    package static let resumeIDCount = 2048
    package static let correlationIDBytes = 1...64
    /// Escaping makes an id at most six times as long, which still fits a control message of 16 KiB.
    package static let jobIDBytes = 2048
    /// Errors reported of one request: without a limit a hostile request could cause thousands.
    package static let reportedErrors = 64

    /// Returns the job, or throws all that is wrong with it.
    ///
    /// `limit` is the most that `max_tokens` may be, at most the upper bound of `maximumTokens`.
    static func job(
        from fields: JobFields, maximumTokens limit: UInt32 = maximumTokens.upperBound
    ) throws(InvalidFields) -> GenerationJob {
        var errors = Errors()
        errors.checkID(fields.id)
        let prompt = errors.prompt(of: fields)
        let echo = fields.echo ?? false
        let maximumTokens =
            fields.maximumTokens ?? min(UInt32(GenerationJob.defaultMaximumTokens), limit)
        let least = echo ? 0 : Self.maximumTokens.lowerBound
        errors.check("max_tokens", maximumTokens, in: least...limit)
        errors.check("temperature", fields.temperature, atMost: 2)
        errors.check("top_p", fields.topP, atMost: 1)
        errors.check("repetition_penalty", fields.repetitionPenalty, atMost: 2)
        errors.checkStop(fields.stop ?? [])
        errors.check("min_p", fields.minP, atMost: 1)
        if let count = fields.logProbabilities {
            errors.check("logprobs", count, in: Self.logProbabilities)
        }
        errors.checkLease(fields.leaseMilliseconds)
        errors.checkResumeIDs(fields.resumeIDs ?? [], maximumTokens: maximumTokens, echo: echo)
        if let id = fields.correlationID { errors.checkCorrelationID(id) }

        let standard = SamplingParameters.default
        let sampling = SamplingParameters(
            temperature: fields.temperature ?? standard.temperature,
            topK: fields.topK ?? standard.topK, topP: fields.topP ?? standard.topP,
            minP: fields.minP ?? standard.minP,
            repetitionPenalty: fields.repetitionPenalty ?? standard.repetitionPenalty)
        guard errors.list.isEmpty, let prompt, let sampling else {
            throw InvalidFields(errors: errors.list)
        }
        return GenerationJob(
            id: fields.id, prompt: prompt, specialTokens: fields.specialTokens ?? false,
            echo: echo, maximumTokens: Int(maximumTokens),
            logProbabilities: fields.logProbabilities.map { Int($0) },
            sampling: sampling, stopSequences: fields.stop ?? [], seed: fields.seed,
            deadlineMilliseconds: fields.deadlineMilliseconds,
            leaseMilliseconds: fields.leaseMilliseconds, resumeIDs: fields.resumeIDs ?? [],
            correlationID: fields.correlationID)
    }

    /// Whether `id` may be a `correlation_id`: `[A-Za-z0-9-]{1,64}`, as every UUID and `test-123` are.
    package static func isCorrelationID(_ id: String) -> Bool {
        correlationIDBytes.contains(id.utf8.count)
            && id.utf8.allSatisfy { $0 == UInt8(ascii: "-") || isLetterOrDigit($0) }
    }

    struct InvalidFields: Error {
        let errors: [FieldError]
    }
}

/// The checks, in the order in which they are called.
private struct Errors {
    private(set) var list: [FieldError] = []

    mutating func add(
        _ field: String, _ constraint: String, _ message: String, value: String? = nil
    ) {
        guard list.count < JobValidation.reportedErrors else { return }
        list.append(
            FieldError(field: field, constraint: constraint, message: message, value: value))
    }

    mutating func checkID(_ id: String) {
        let limit = JobValidation.jobIDBytes
        if id.isEmpty {
            add("job_id", "non_empty", "job_id must not be empty", value: "")
        } else if id.utf8.count > limit {
            add(
                "job_id", "max_length(\(limit))",
                "job_id must be at most \(limit) bytes (got \(id.utf8.count))")
        }
    }

    /// Nil unless there is one prompt of a length that is allowed.
    mutating func prompt(of fields: JobFields) -> Prompt? {
        switch (fields.prompt, fields.promptIDs) {
        case (let text?, nil):
            checkPrompt(text)
            return .text(text)
        case (nil, let ids?):
            checkPromptIDs(ids, specialTokens: fields.specialTokens ?? false)
            return .ids(ids)
        case (_?, _?):
            add(
                "prompt_ids", "conflicts(prompt)",
                "prompt_ids must not be there together with prompt; send one of them")
        case (nil, nil): add("prompt", "required", "prompt or prompt_ids is required")
        }
        return nil
    }

    private mutating func checkPromptIDs(_ ids: [TokenID], specialTokens: Bool) {
        let range = JobValidation.promptIDCount
        if !range.contains(ids.count) {
            add(
                "prompt_ids", "length(1..=\(range.upperBound))",
                ids.isEmpty
                    ? "prompt_ids must not be empty"
                    : "prompt_ids must have at most \(range.upperBound) ids (got \(ids.count))")
        }
        if specialTokens {
            add(
                "special_tokens", "conflicts(prompt_ids)",
                "special_tokens is for a prompt of text; prompt_ids has tokens already")
        }
    }

    private mutating func checkPrompt(_ prompt: String) {
        let limit = JobValidation.promptScalars.upperBound
        if prompt.isEmpty {
            add("prompt", "length(1..=\(limit))", "prompt must not be empty")
        } else if prompt.utf8.count > limit, prompt.unicodeScalars.count > limit {
            add(
                "prompt", "length(1..=\(limit))",
                "prompt must be at most \(limit) characters (got \(prompt.unicodeScalars.count))")
        }
    }

    mutating func check(_ field: String, _ count: UInt32, in range: ClosedRange<UInt32>) {
        guard !range.contains(count) else { return }
        let constraint = "range(\(range.lowerBound)..=\(range.upperBound))"
        if count < range.lowerBound {
            add(
                field, constraint, "\(field) must be at least \(range.lowerBound)",
                value: "\(count)")
        } else {
            add(
                field, constraint, "\(field) must be at most \(range.upperBound) (got \(count))",
                value: "\(count)")
        }
    }

    /// From 0 to `limit`, after narrowing to a float.
    mutating func check(_ field: String, _ value: Float?, atMost limit: Int) {
        guard let value, !(0...Float(limit)).contains(value) else { return }
        let bound = value < 0 ? "least 0.0" : "most \(limit).0"
        let text = positionalText(value)
        add(
            field, "range(0.0..=\(limit).0)", "\(field) must be at \(bound) (got \(text))",
            value: text)
    }

    mutating func checkStop(_ sequences: [String]) {
        let count = JobValidation.stopSequenceCount
        let bytes = JobValidation.stopSequenceBytes
        if sequences.count > count {
            add(
                "stop", "max_count(\(count))",
                "stop must have at most \(count) sequences (got \(sequences.count))",
                value: "\(sequences.count)")
        }
        for (index, sequence) in sequences.enumerated() {
            if sequence.isEmpty {
                add("stop", "non_empty", "stop sequence \(index) must not be empty")
            } else if sequence.utf8.count > bytes {
                add(
                    "stop", "max_length(\(bytes))",
                    "stop sequence \(index) must be at most \(bytes) characters "
                        + "(got \(sequence.utf8.count))")
            }
        }
    }

    mutating func checkLease(_ milliseconds: UInt32?) {
        guard milliseconds == 0 else { return }
        add("lease_ms", "range(1..=\(UInt32.max))", "lease_ms must be at least 1", value: "0")
    }

    mutating func checkResumeIDs(_ ids: [TokenID], maximumTokens: UInt32, echo: Bool) {
        // How many of them belong to the prompt is known to the worker only.
        let echoed = echo ? JobValidation.promptIDCount.upperBound : 0
        let limit = JobValidation.resumeIDCount + echoed
        if ids.count > limit {
            add(
                "resume_ids", "max_count(\(limit))",
                "resume_ids must have at most \(limit) ids (got \(ids.count))",
                value: "\(ids.count)")
        } else if ids.count > Int(maximumTokens) + echoed {
            add(
                "resume_ids", "max_count(max_tokens)",
                "resume_ids must not have more ids than max_tokens (got \(ids.count))",
                value: "\(ids.count)")
        }
    }

    mutating func checkCorrelationID(_ id: String) {
        guard !JobValidation.isCorrelationID(id) else { return }
        add(
            "correlation_id", "pattern([A-Za-z0-9-]{1,64})",
            "correlation_id must be 1 to 64 letters, digits or hyphens")
    }
}

/// The shortest digits that read back as `value`, never with an exponent or a trailing `.0`.
///
/// Rust's `Display` for `f32`: `3`, `2.1`, `inf`, and 1 with thirty zeros for `1e30`.
package func positionalText(_ value: Float) -> String {
    let text = value.magnitude.description
    let sign = value.sign == .minus ? "-" : ""
    guard value.isFinite else { return sign + text }
    let parts = text.split(separator: "e", maxSplits: 1)
    let mantissa = parts[0].split(separator: ".", maxSplits: 1)
    let whole = String(mantissa[0])
    let fraction = mantissa.count > 1 && mantissa[1] != "0" ? String(mantissa[1]) : ""
    let exponent = parts.count > 1 ? Int(parts[1]) ?? 0 : 0

    let digits = whole + fraction
    let pointAt = whole.utf8.count + exponent
    if pointAt <= 0 {
        return sign + "0." + String(repeating: "0", count: -pointAt) + digits
    }
    if pointAt >= digits.utf8.count {
        return sign + digits + String(repeating: "0", count: pointAt - digits.utf8.count)
    }
    return sign + digits.prefix(pointAt) + "." + digits.dropFirst(pointAt)
}
