// One job between its start and its end: input ids, text state, limits and times. Computes nothing.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchSystem

/// The running job of a `CPUBackend`.
struct RunningJob {
    let seed: UInt64
    let promptCount: Int
    /// Prompt, resumed and generated ids: what the model has seen or will see.
    private(set) var input: [TokenID]
    /// Set when the last token ended the text.
    private(set) var stopReason: StopReason?

    private var piecer: TokenPiecer
    private let endOfText: [TokenID]
    /// The length of `input` at which the job must end: prompt and `max_tokens`, or the whole context if that is less.
    private let lengthLimit: Int
    private let queuedMilliseconds: Int
    private let startedAt = ContinuousClock.now
    private var prefillTime = Duration.zero

    /// - Throws: `contextOverflow` for a prompt that leaves no room, `invalidRequest` for ids that are no
    ///   tokens of this model or are more than were asked for.
    init(
        _ job: GenerationJob, promptIDs: [TokenID], loaded: LoadedModel, queuedMilliseconds: Int
    ) throws(JobFailure) {
        let context = loaded.model.configuration.contextLength
        guard promptIDs.count < context else { throw .overflow(promptIDs.count, context) }
        guard !promptIDs.isEmpty else { throw .field("prompt", "the prompt has no tokens") }
        let vocabularySize = loaded.tokenCount
        for (field, ids) in [("prompt", promptIDs), ("resume_ids", job.resumeIDs)] {
            if let id = ids.first(where: { $0 >= vocabularySize }) {
                throw .field(
                    field, "\(field) has id \(id), the vocabulary has \(vocabularySize) entries")
            }
        }
        lengthLimit = min(promptIDs.count + job.maximumTokens, context)
        guard promptIDs.count + job.resumeIDs.count <= lengthLimit else {
            throw .field(
                "resume_ids",
                "resume_ids has \(job.resumeIDs.count) ids, the job ends after "
                    + "\(lengthLimit - promptIDs.count)")
        }
        seed = job.seed ?? 0
        promptCount = promptIDs.count
        self.queuedMilliseconds = queuedMilliseconds
        endOfText = loaded.endOfText
        input = promptIDs + job.resumeIDs
        input.reserveCapacity(lengthLimit + 1)
        piecer = TokenPiecer(tokenizer: loaded.tokenizer, stopSequences: job.stopSequences)
        do {
            try piecer.resume(after: job.resumeIDs)
        } catch {
            throw .field("resume_ids", "\(error)")
        }
    }

    private var generatedCount: Int { input.count - promptCount }

    /// Why a resumed job is over before another token, if it is.
    mutating func endWithoutGenerating() -> StopReason? {
        if piecer.matchedStop != nil {
            stopReason = .stopSequence
        } else if input.count >= lengthLimit {
            stopReason = .maximumTokens
        }
        return stopReason
    }

    mutating func prefillEnded() { prefillTime = startedAt.duration(to: .now) }

    /// Takes a chosen token; returns the piece of text that became safe to show.
    ///
    /// An end mark is neither counted nor shown: it is no part of the text. Where one token completes a stop
    /// sequence and reaches the limit, the stop sequence is the reason given, because it says more.
    mutating func append(_ token: TokenID) throws(TokenizerError) -> TokenEvent.TokenPiece? {
        guard !endOfText.contains(token) else {
            stopReason = .endOfText
            return nil
        }
        input.append(token)
        let piece = try piecer.append(token)
        if piecer.matchedStop != nil {
            stopReason = .stopSequence
        } else if input.count >= lengthLimit {
            stopReason = .maximumTokens
        }
        return piece
    }

    /// What was held back for a stop sequence that did not come.
    mutating func lastPiece() -> TokenEvent.TokenPiece? { piecer.finish() }

    func startedEvent(modelName: String) -> TokenEvent.Started {
        TokenEvent.Started(
            model: modelName, startedAt: Timestamp.now(), seed: seed, promptTokens: promptCount,
            queuedMilliseconds: queuedMilliseconds)
    }

    func endEvent(_ reason: StopReason) -> TokenEvent.End {
        let total = startedAt.duration(to: .now)
        return TokenEvent.End(
            tokensOut: generatedCount,
            decodeTimeMilliseconds: Int((total - prefillTime).wholeMilliseconds),
            stopReason: reason, stopSequenceMatched: piecer.matchedStop,
            promptTokens: promptCount, prefillMilliseconds: Int(prefillTime.wholeMilliseconds))
    }
}

extension JobFailure {
    fileprivate static func overflow(_ tokens: Int, _ context: Int) -> JobFailure {
        let message = "prompt has \(tokens) tokens, the context holds \(context) with the answer"
        return JobFailure(
            .contextOverflow, message + "; shorten the prompt",
            errors: [
                FieldError(
                    field: "prompt", constraint: "max_tokens(\(context - 1))", message: message,
                    value: nil)
            ])
    }

    fileprivate static func field(_ name: String, _ message: String) -> JobFailure {
        JobFailure(
            .invalidRequest, message,
            errors: [FieldError(field: name, constraint: "valid_ids", message: message)])
    }
}
