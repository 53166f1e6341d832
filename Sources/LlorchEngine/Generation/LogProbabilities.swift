// ln p of tokens by one row of logits, and the likeliest tokens: what is told about a token, not how it is drawn
// (Sampling/Sampler.swift). The same logits give the same bits on any machine.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

/// Computes log-probabilities row by row; the scratch memory is allocated at the first use.
struct LogProbabilities: ~Copyable {
    private let kernels: Kernels
    private var scratch: [Float] = []

    init(kernels: Kernels) {
        self.kernels = kernels
    }

    /// One token and the `count` likeliest of the first `tokenCount`, by the distribution over all logits.
    ///
    /// - Precondition: `token` and `tokenCount` are within the logits.
    /// - Throws: when a logit is not a number or the greatest is infinite, and for a token without bytes.
    mutating func entry(
        for token: TokenID, in logits: Span<Float>, top count: Int, of tokenCount: Int,
        _ tokenizer: Tokenizer
    ) throws -> TokenLogProbability {
        let shift = try shift(of: logits)
        func value(_ id: Int) -> Double {
            max(Double(logits[id]) - shift, -.greatestFiniteMagnitude)
        }
        let top = LogSoftmax.greatest(count, of: logits.extracting(first: tokenCount))
        return TokenLogProbability(
            id: token, bytes: Array(try tokenizer.bytes(of: token)),
            logProbability: value(Int(token)),
            top: try top.map { id in
                TokenLogProbability.Alternative(
                    id: TokenID(id), bytes: Array(try tokenizer.bytes(of: TokenID(id))),
                    logProbability: value(id))
            })
    }

    /// ln Σ e^logit; ln p of a token is its logit less this.
    private mutating func shift(of logits: Span<Float>) throws(SamplingError) -> Double {
        var best = 0
        for index in logits.indices where !(logits[index] <= logits[best]) || index == 0 {
            if logits[index].isNaN { throw .notANumber(token: index) }
            best = index
        }
        guard logits[best].isFinite else { throw .notFinite(token: best) }
        if scratch.count != logits.count {
            scratch = [Float](repeating: 0, count: logits.count)
        }
        let kernels = kernels
        var row = scratch.mutableSpan
        let sum = LogSoftmax.sumOfExponentials(
            of: logits, less: logits[best], into: &row, kernels: kernels)
        return LogSoftmax.shift(greatest: logits[best], sum: sum)
    }
}
