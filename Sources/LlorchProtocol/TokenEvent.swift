// What is answered while a job runs. Envelope and spelling: Wire/; who sends it: LlorchQueue.
// SPDX-License-Identifier: Apache-2.0

/// One event of a running job.
///
/// Grammar: `started (token | metrics)* (end | error)`. A job that fails before it starts answers
/// with a lone `error`. Nothing follows `end` or `error`.
package enum TokenEvent: Sendable, Hashable {
    case started(Started)
    case token(TokenPiece)
    case metrics(Metrics)
    case end(End)
    case error(JobFailure)

    /// Prefill begins.
    package struct Started: Sendable, Hashable {
        /// The model's name as its directory or configuration gives it.
        package var model: String
        /// ISO 8601, UTC.
        package var startedAt: String
        package var seed: UInt64
        package var promptTokens: Int
        /// Time between receipt and start.
        package var queuedMilliseconds: Int

        package init(
            model: String, startedAt: String, seed: UInt64, promptTokens: Int,
            queuedMilliseconds: Int
        ) {
            self.model = model
            self.startedAt = startedAt
            self.seed = seed
            self.promptTokens = promptTokens
            self.queuedMilliseconds = queuedMilliseconds
        }
    }

    /// A piece of text and the tokens it covers.
    package struct TokenPiece: Sendable, Hashable {
        /// Whole UTF-8 characters only; may be empty when the ids end inside one.
        package var text: String
        /// One or more.
        package var ids: [TokenID]
        /// Number of token ids before this piece; a job resumed with n ids begins at n.
        package var index: Int
        /// One for each id where the job asked for them, else none.
        package var logProbabilities: [TokenLogProbability]

        package init(
            text: String, ids: [TokenID], index: Int,
            logProbabilities: [TokenLogProbability] = []
        ) {
            self.text = text
            self.ids = ids
            self.index = index
            self.logProbabilities = logProbabilities
        }
    }

    /// Progress, every 250 to 1,000 ms where asked for.
    package struct Metrics: Sendable, Hashable {
        package var tokensOut: Int
        package var decodeTimeMilliseconds: Int
        package var tokensPerSecond: Double
        /// Always 0: a worker of this kind uses no video memory.
        package var vramBytes: UInt64

        package init(
            tokensOut: Int, decodeTimeMilliseconds: Int, tokensPerSecond: Double,
            vramBytes: UInt64 = 0
        ) {
            self.tokensOut = tokensOut
            self.decodeTimeMilliseconds = decodeTimeMilliseconds
            self.tokensPerSecond = tokensPerSecond
            self.vramBytes = vramBytes
        }
    }

    /// Terminal: success.
    package struct End: Sendable, Hashable {
        /// Tokens held by a dispatcher that missed nothing, resumed and echoed ones included.
        package var tokensOut: Int
        package var decodeTimeMilliseconds: Int
        package var stopReason: StopReason
        package var stopSequenceMatched: String?
        package var promptTokens: Int
        package var prefillMilliseconds: Int
        /// Prompt tokens that were not computed because a cache held them.
        package var cachedTokens: Int
        /// The end mark that was chosen, where the reason is `endOfText` and the job asked for
        /// log-probabilities; it is no token of the answer.
        package var endMark: TokenLogProbability?

        package init(
            tokensOut: Int, decodeTimeMilliseconds: Int, stopReason: StopReason,
            stopSequenceMatched: String? = nil, promptTokens: Int, prefillMilliseconds: Int,
            cachedTokens: Int = 0, endMark: TokenLogProbability? = nil
        ) {
            self.tokensOut = tokensOut
            self.decodeTimeMilliseconds = decodeTimeMilliseconds
            self.stopReason = stopReason
            self.stopSequenceMatched = stopSequenceMatched
            self.promptTokens = promptTokens
            self.prefillMilliseconds = prefillMilliseconds
            self.cachedTokens = cachedTokens
            self.endMark = endMark
        }
    }

    /// Whether this event is the job's last.
    package var isTerminal: Bool {
        switch self {
        case .end, .error: true
        case .started, .token, .metrics: false
        }
    }
}
