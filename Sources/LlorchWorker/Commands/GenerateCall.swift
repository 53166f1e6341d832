// What `llorch-worker generate` does once its arguments are understood: one job, without a queue, whose events are
// printed as they come. Printing: EventPrinter.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchJSON
import LlorchProtocol
import LlorchSystem

/// The options of `generate` but for the model's.
package struct GenerateOptions: Sendable {
    /// Where the text to continue comes from.
    enum Prompt: Sendable, Hashable {
        case text(String)
        case file(String)
        case ids([TokenID])
    }

    /// Numbers as they were typed: the protocol's reader judges them, so that limits and messages are those of
    /// jobs from the queue.
    package struct Sampling: Sendable {
        package var maximumTokens: Int
        package var echo: Bool
        /// Alternatives of each token's log-probability; nil tells none.
        package var logProbabilities: Int?
        package var temperature: String
        package var topK: Int
        package var topP: String
        package var minP: String
        package var repetitionPenalty: String
        /// Nil draws one.
        package var seed: UInt64?
        package var stop: [String]

        package init(
            maximumTokens: Int, echo: Bool, logProbabilities: Int?, temperature: String, topK: Int,
            topP: String, minP: String,
            repetitionPenalty: String, seed: UInt64?, stop: [String]
        ) {
            self.maximumTokens = maximumTokens
            self.echo = echo
            self.logProbabilities = logProbabilities
            self.temperature = temperature
            self.topK = topK
            self.topP = topP
            self.minP = minP
            self.repetitionPenalty = repetitionPenalty
            self.seed = seed
            self.stop = stop
        }
    }

    let prompt: Prompt
    let specialTokens: Bool
    let sampling: Sampling
    let chunkLength: Int?
    let json: Bool

    /// - Parameters:
    ///   - prompt: the text to continue.
    ///   - promptFile: a file with the text to continue.
    ///   - ids: the token ids to continue, as `1,2,3`.
    ///   - specialTokens: whether special tokens that the prompt spells out are those tokens.
    ///   - sampling: how many tokens, and how they are drawn.
    ///   - chunk: tokens of a prefill chunk; nil lets the model choose.
    ///   - json: whether events are printed as JSON lines.
    /// - Throws: if not exactly one of the three prompts is given, a number is none, or log-probabilities are
    ///   asked for without JSON.
    package init(
        prompt: String?, promptFile: String?, ids: String?, specialTokens: Bool,
        sampling: Sampling, chunk: Int?, json: Bool
    ) throws(CommandFailure) {
        switch (prompt, promptFile, ids) {
        case (let text?, nil, nil): self.prompt = .text(text)
        case (nil, let path?, nil): self.prompt = .file(path)
        case (nil, nil, let list?): self.prompt = .ids(try Self.ids(list))
        default: throw CommandFailure("give one of --prompt, --prompt-file and --ids")
        }
        if specialTokens, ids != nil {
            throw CommandFailure("--special-tokens is for a text; --ids has tokens already")
        }
        if sampling.logProbabilities != nil, !json {
            throw CommandFailure("--logprobs is told in the events of --json; add --json")
        }
        guard chunk ?? 1 >= 1 else { throw CommandFailure("--chunk must be at least 1") }
        self.specialTokens = specialTokens
        self.sampling = sampling
        chunkLength = chunk
        self.json = json
    }

    private static func ids(_ text: String) throws(CommandFailure) -> [TokenID] {
        let ids = text.split(separator: ",").map { TokenID($0.filter { $0 != " " }) }
        guard !ids.isEmpty, !ids.contains(nil) else {
            throw CommandFailure("--ids must be numbers like 1,2,3")
        }
        return ids.compactMap(\.self)
    }
}

package enum GenerateCall {
    /// The largest prompt file, in bytes.
    private static let maximumPromptBytes = 1 << 20

    /// Runs the job and prints its events.
    ///
    /// - Throws: what cannot be read or loaded, and `JobFailure` for a job that the engine refuses.
    /// - Returns: false if the job ended with an error, which has been printed.
    package static func run(_ options: GenerateOptions, model: ModelChoice) throws -> Bool {
        var job = try job(options)
        job.seed = job.seed ?? GenerationJob.drawnSeed()
        var backend = try CPUBackend(model.load(), chunkLength: options.chunkLength)
        try backend.start(job, queuedMilliseconds: 0)
        var printer = EventPrinter(json: options.json)
        while true {
            switch backend.step() {
            case .working: continue
            case .event(let event): try printer.show(event)
            case .finished: return !printer.failed
            }
        }
    }

    /// Goes through the reader that HTTP and the queue use.
    private static func job(_ options: GenerateOptions) throws -> GenerationJob {
        let sampling = options.sampling
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("job_id", "generate")
        switch options.prompt {
        case .text(let text): writer.member("prompt", text)
        case .file(let path): writer.member("prompt", try text(of: path))
        case .ids(let ids): writer.member("prompt_ids", ids)
        }
        writer.member("special_tokens", options.specialTokens)
        writer.member("echo", sampling.echo)
        if let count = sampling.logProbabilities { writer.member("logprobs", count) }
        for (name, value) in [
            ("max_tokens", "\(sampling.maximumTokens)"), ("temperature", sampling.temperature),
            ("top_k", "\(sampling.topK)"), ("top_p", sampling.topP), ("min_p", sampling.minP),
            ("repetition_penalty", sampling.repetitionPenalty),
        ] {
            writer.key(name)
            writer.value(try StrictJSON.parse(Array(value.utf8), limits: .wire))
        }
        if let seed = sampling.seed {
            writer.key("seed")
            writer.integer(seed)
        }
        writer.key("stop")
        writer.beginArray()
        for text in sampling.stop { writer.string(text) }
        writer.endArray()
        writer.endObject()
        do {
            return try ExecuteRequest(parsing: writer.bytes).job
        } catch {
            let texts = error.failure.errors.map(\.message)
            throw CommandFailure(
                texts.isEmpty ? error.failure.message : texts.joined(separator: "; "))
        }
    }

    private static func text(of path: String) throws -> String {
        let bytes = try InputFile.contents(of: path, limit: maximumPromptBytes)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CommandFailure("\(path) is not UTF-8")
        }
        return text
    }
}
