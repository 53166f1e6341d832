// The body of `POST /v1/completions`, in the members of OpenAI's API: what of them a job can be made of, and the
// refusal of all others. The rules for the values that a job has too are JobValidation's.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON

/// A request for one or more completions of one or more prompts.
package struct CompletionRequest: Sendable, Hashable {
    package var model: String
    /// One job for each prompt, still with the same id and the request's seed.
    package var jobs: [GenerationJob]
    /// Completions of each prompt, 1 to 16.
    package var copies: Int
    package var isStream: Bool
    package var includesUsage: Bool

    package static let copyRange = 1...16
    /// Prompts times completions of each.
    package static let maximumChoices = 128
    package static let logProbabilities: ClosedRange<UInt32> = 0...5
    package static let defaultMaximumTokens: UInt32 = 16

    /// Many prompts of many ids have more values than other bodies.
    private static let limits = StrictJSON.Limits(
        maximumBytes: StrictJSON.Limits.http.maximumBytes, maximumDepth: 16,
        maximumValues: 262_144)

    /// Reads and validates a body.
    ///
    /// `limit` is the most that `max_tokens` may be; a request without a number gets it at most.
    /// - Throws: an error whose `failure.errors` name the members of the body as their fields.
    package init(
        parsing bytes: [UInt8],
        maximumTokens limit: UInt32 = JobValidation.maximumTokens.upperBound
    ) throws(WireError) {
        var reader = FieldReader(try httpObject(bytes.span, limits: Self.limits))
        let model = reader.required("model", .text)
        let prompts = reader.prompts()
        let options = CompletionOptions(&reader)
        let fields = JobFields(completion: &reader, maximumTokens: limit)
        reader.noteUnknown(notIn: CompletionOptions.names.union(JobFields.completionNames))
        reader.noteUnsupported()
        options.check(prompts: prompts?.count ?? 0, &reader)
        guard reader.problems.isEmpty, let model, let prompts else {
            throw WireError(.schema, JobFailure(invalid: Array(reader.reported)))
        }
        jobs = []
        for prompt in prompts {
            do {
                jobs.append(try JobValidation.job(from: fields.with(prompt), maximumTokens: limit))
            } catch {
                throw WireError(.invalid, JobFailure(invalid: error.errors))
            }
        }
        self.model = model
        copies = options.copies
        isStream = options.isStream
        includesUsage = options.includesUsage
    }
}

/// What a completion has beside its jobs.
private struct CompletionOptions {
    var copies: Int
    var bestOf: UInt32?
    var logProbabilities: UInt32?
    var isStream: Bool
    var hasStreamOptions: Bool
    var includesUsage = false

    static let names: Set<String> = [
        "model", "prompt", "n", "best_of", "user", "stream", "stream_options", "suffix",
        "presence_penalty", "frequency_penalty", "logit_bias", "prediction",
    ]

    init(_ reader: inout FieldReader) {
        copies = reader.optional("n", .u32).map { Int($0) } ?? 1
        bestOf = reader.optional("best_of", .u32)
        logProbabilities = reader.optional("logprobs", .u32)
        isStream = reader.optional("stream", .flag) ?? false
        // Of use to those who run a service for many; nobody is told it here.
        _ = reader.optional("user", .text)
        hasStreamOptions = reader.has("stream_options")
        if let object = reader.optional("stream_options", .object) {
            includesUsage = reader.includesUsage(object)
        }
    }

    func check(prompts: Int, _ reader: inout FieldReader) {
        let range = CompletionRequest.copyRange
        if !range.contains(copies) {
            reader.note(
                "n", "range(\(range.lowerBound)..=\(range.upperBound))",
                "n must be \(range.lowerBound) to \(range.upperBound), found \(copies)")
        } else if prompts * copies > CompletionRequest.maximumChoices {
            let limit = CompletionRequest.maximumChoices
            reader.note(
                "prompt", "max_count(\(limit))",
                "a request may ask for \(limit) completions, this one asks for \(copies) of "
                    + "each of \(prompts) prompts")
        }
        if let bestOf, Int(bestOf) != copies {
            reader.note(
                "best_of", "equal(n)",
                "best_of is not supported; leave it out, or let it be n, which is \(copies)")
        }
        let alternatives = CompletionRequest.logProbabilities
        if let logProbabilities, !alternatives.contains(logProbabilities) {
            reader.note(
                "logprobs", "range(\(alternatives.lowerBound)..=\(alternatives.upperBound))",
                "logprobs must be \(alternatives.lowerBound) to \(alternatives.upperBound), "
                    + "found \(logProbabilities)")
        }
        if hasStreamOptions, !isStream {
            reader.note(
                "stream_options", "requires(stream)",
                "stream_options is for requests with \"stream\": true")
        }
    }
}

extension JobFields {
    fileprivate static let completionNames: Set<String> = [
        "max_tokens", "temperature", "seed", "top_p", "top_k", "min_p", "repetition_penalty",
        "stop", "echo", "logprobs",
    ]

    /// Reads what all jobs of a completion share.
    fileprivate init(completion reader: inout FieldReader, maximumTokens limit: UInt32) {
        // Made by whoever gives the jobs to the queue.
        id = "completion"
        maximumTokens =
            reader.optional("max_tokens", .u32)
            ?? min(CompletionRequest.defaultMaximumTokens, limit)
        temperature = reader.optional("temperature", .f32)
        seed = reader.optional("seed", .seed)
        topP = reader.optional("top_p", .f32)
        topK = reader.optional("top_k", .u32)
        repetitionPenalty = reader.optional("repetition_penalty", .f32)
        stop = reader.optional("stop", .textOrList)
        minP = reader.optional("min_p", .f32)
        echo = reader.optional("echo", .flag)
        logProbabilities = reader.object["logprobs"]?.asNumber?.asUInt64.flatMap {
            UInt32(exactly: $0)
        }
    }

    fileprivate func with(_ prompt: Prompt) -> JobFields {
        var fields = self
        switch prompt {
        case .text(let text): fields.prompt = text
        case .ids(let ids): fields.promptIDs = ids
        }
        return fields
    }
}
