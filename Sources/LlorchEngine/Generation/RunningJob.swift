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

    /// How many alternatives each token's log-probability is told with; nil tells none.
    let alternatives: Int?

    private var piecer: TokenPiecer
    /// Of the tokens that no piece has covered yet, where the job asks for them.
    private var logProbabilities: [TokenLogProbability] = []
    /// The end mark that was chosen.
    private var endMark: TokenLogProbability?
    /// Tokens of the prompt that the answer begins with: all of them with `echo`, else none.
    private let echoCount: Int
    /// Of the `echoCount` tokens, those that went into the answer.
    private var echoed: Int
    private let endOfText: [TokenID]
    /// The length of `input` at which the job must end: prompt and `max_tokens`, or the whole context if that is less.
    private let lengthLimit: Int
    private let queuedMilliseconds: Int
    private let startedAt = ContinuousClock.now
    private var prefillTime = Duration.zero

    /// - Throws: `contextOverflow` for a prompt that leaves no room, `invalidRequest` for ids that are no
    ///   tokens of this model or are more than were asked for.
    init(
        _ job: GenerationJob, loaded: LoadedModel, queuedMilliseconds: Int
    ) throws(JobFailure) {
        let promptIDs: [TokenID]
        let promptField: String
        switch job.prompt {
        case .text(let text):
            promptField = "prompt"
            promptIDs = loaded.tokenizer.tokenize(text, parsingSpecialTokens: job.specialTokens)
        case .ids(let ids):
            promptField = "prompt_ids"
            promptIDs = ids
        }
        let context = loaded.model.configuration.contextLength
        // A job that generates nothing needs no room for it.
        guard promptIDs.count + min(job.maximumTokens, 1) <= context else {
            throw .overflow(promptField, promptIDs.count, context)
        }
        guard !promptIDs.isEmpty else { throw .field(promptField, "the prompt has no tokens") }
        let vocabularySize = loaded.tokenCount
        for (field, ids) in [(promptField, promptIDs), ("resume_ids", job.resumeIDs)] {
            if let id = ids.first(where: { $0 >= vocabularySize }) {
                throw .field(
                    field, "\(field) has id \(id), the vocabulary has \(vocabularySize) entries")
            }
        }
        lengthLimit = min(promptIDs.count + job.maximumTokens, context)
        echoCount = job.echo ? promptIDs.count : 0
        echoed = min(job.resumeIDs.count, echoCount)
        guard job.resumeIDs.starts(with: promptIDs.prefix(echoed)) else {
            throw .field("resume_ids", "resume_ids does not begin with the tokens of the prompt")
        }
        let generated = job.resumeIDs.dropFirst(echoed)
        guard promptIDs.count + generated.count <= lengthLimit else {
            throw .field(
                "resume_ids",
                "resume_ids has \(job.resumeIDs.count) ids, the job ends after "
                    + "\(lengthLimit - promptIDs.count + echoCount)")
        }
        alternatives = job.logProbabilities
        seed = job.seed ?? 0
        promptCount = promptIDs.count
        self.queuedMilliseconds = queuedMilliseconds
        endOfText = loaded.endOfText
        input = promptIDs + generated
        input.reserveCapacity(lengthLimit + 1)
        piecer = TokenPiecer(tokenizer: loaded.tokenizer, stopSequences: job.stopSequences)
        do {
            try piecer.resume(after: job.resumeIDs, promptCount: echoCount)
        } catch {
            throw .field("resume_ids", "\(error)")
        }
    }

    /// What was generated before, in an earlier attempt, counts as generated.
    var generated: ArraySlice<TokenID> { input[promptCount...] }

    // MARK: - The prompt, where it is echoed

    /// The place of the next token of the prompt that goes into the answer; nil when none is left.
    var nextEchoed: Int? { echoed < echoCount ? echoed : nil }

    /// The positions of the prompt whose logits are needed to tell the log-probabilities of tokens still to be
    /// echoed: token k is predicted at position k − 1.
    var scoredPositions: Range<Int> {
        alternatives == nil || echoed == echoCount ? 0..<0 : max(echoed, 1) - 1..<echoCount - 1
    }

    /// Takes the next token of the prompt into the answer; returns the piece that became safe to show.
    mutating func echoNext(
        _ logProbability: TokenLogProbability?
    ) throws(JobFailure) -> TokenEvent.TokenPiece? {
        let token = input[echoed]
        echoed += 1
        return try append(token, logProbability, isPrompt: true)
    }

    /// The log-probability of the first token: nothing predicts it.
    func unpredicted(_ tokenizer: Tokenizer) throws(JobFailure) -> TokenLogProbability? {
        guard alternatives != nil else { return nil }
        do {
            return TokenLogProbability(
                id: input[0], bytes: Array(try tokenizer.bytes(of: input[0])), logProbability: nil,
                top: [])
        } catch {
            throw JobFailure(.inferenceFailed, "\(error)")
        }
    }

    // MARK: - The answer

    /// Whether no token is to be generated.
    var isAtLimit: Bool { input.count >= lengthLimit }

    /// Why a resumed job is over before another token, if it is.
    mutating func endWithoutGenerating() -> StopReason? {
        if piecer.matchedStop != nil {
            stopReason = .stopSequence
        } else if isAtLimit {
            stopReason = .maximumTokens
        }
        return stopReason
    }

    mutating func prefillEnded() { prefillTime = startedAt.duration(to: .now) }

    /// Takes a chosen token; returns the piece of text that became safe to show.
    ///
    /// An end mark is neither counted nor shown: it is no part of the text. Where one token completes a stop
    /// sequence and reaches the limit, the stop sequence is the reason given, because it says more.
    mutating func append(
        _ token: TokenID, _ logProbability: TokenLogProbability?
    ) throws(JobFailure) -> TokenEvent.TokenPiece? {
        guard !endOfText.contains(token) else {
            stopReason = .endOfText
            endMark = logProbability
            return nil
        }
        input.append(token)
        let piece = try append(token, logProbability, isPrompt: false)
        if piecer.matchedStop != nil {
            stopReason = .stopSequence
        } else if isAtLimit {
            stopReason = .maximumTokens
        }
        return piece
    }

    /// What was held back for a stop sequence that did not come.
    mutating func lastPiece() throws(JobFailure) -> TokenEvent.TokenPiece? {
        guard var piece = piecer.finish() else { return nil }
        try fill(&piece)
        return piece
    }

    private mutating func append(
        _ token: TokenID, _ logProbability: TokenLogProbability?, isPrompt: Bool
    ) throws(JobFailure) -> TokenEvent.TokenPiece? {
        if let logProbability { logProbabilities.append(logProbability) }
        let piece: TokenEvent.TokenPiece?
        do {
            piece = try piecer.append(token, isPrompt: isPrompt)
        } catch {
            throw JobFailure(.inferenceFailed, "\(error)")
        }
        guard var piece else { return nil }
        try fill(&piece)
        return piece
    }

    /// Gives a piece the log-probabilities of its tokens.
    private mutating func fill(_ piece: inout TokenEvent.TokenPiece) throws(JobFailure) {
        guard !logProbabilities.isEmpty else { return }
        piece.logProbabilities = Array(logProbabilities.prefix(piece.ids.count))
        logProbabilities.removeFirst(piece.logProbabilities.count)
        let bytes = piece.logProbabilities.reduce(0) { $0 + $1.jsonBytes }
        guard bytes <= Self.maximumEventBytes else {
            throw JobFailure(
                .inferenceFailed,
                "the tokens of this model's vocabulary are too long to tell logprobs; ask for fewer"
            )
        }
    }

    /// Half of what a message may have, for log-probabilities alone.
    private static let maximumEventBytes = 512 << 10

    func startedEvent(modelName: String) -> TokenEvent.Started {
        TokenEvent.Started(
            model: modelName, startedAt: Timestamp.now(), seed: seed, promptTokens: promptCount,
            queuedMilliseconds: queuedMilliseconds)
    }

    func endEvent(_ reason: StopReason) -> TokenEvent.End {
        let total = startedAt.duration(to: .now)
        return TokenEvent.End(
            tokensOut: echoCount + generated.count,
            decodeTimeMilliseconds: Int((total - prefillTime).wholeMilliseconds),
            stopReason: reason, stopSequenceMatched: piecer.matchedStop,
            promptTokens: promptCount, prefillMilliseconds: Int(prefillTime.wholeMilliseconds),
            endMark: endMark)
    }
}

extension JobFailure {
    fileprivate static func overflow(
        _ field: String, _ tokens: Int, _ context: Int
    ) -> JobFailure {
        let message = "\(field) has \(tokens) tokens, the context holds \(context) with the answer"
        return JobFailure(
            .contextOverflow, message + "; shorten the prompt",
            errors: [
                FieldError(
                    field: field, constraint: "max_tokens(\(context - 1))", message: message,
                    value: nil)
            ])
    }

    fileprivate static func field(_ name: String, _ message: String) -> JobFailure {
        JobFailure(
            .invalidRequest, message,
            errors: [FieldError(field: name, constraint: "valid_ids", message: message)])
    }
}
