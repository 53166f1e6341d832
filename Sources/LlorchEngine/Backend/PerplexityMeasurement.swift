// Log-probabilities of a given text, token by token. A measurement: jobs never come here.
// SPDX-License-Identifier: Apache-2.0

import Glibc
package import LlorchProtocol

/// Owns a cache and the activations for the logits of whole chunks.
package struct PerplexityMeasurement: ~Copyable {
    private let model: GPT2
    private var cache: KVCache
    private var activations: Activations
    private var scratch: Matrix  // [1, V]

    /// - Parameters:
    ///   - model: the model.
    ///   - chunkLength: tokens of a pass; nil lets the model choose.
    package init(_ model: GPT2, chunkLength: Int? = nil) {
        self.model = model
        cache = model.makeCache()
        activations = model.makeActivations(chunkLength: chunkLength, allLogits: true)
        scratch = Matrix(rows: 1, columns: model.configuration.vocabularySize)
    }

    /// ln p of ids 1, 2, …, each given those before it in its window.
    ///
    /// - Parameters:
    ///   - ids: at least two, below V.
    ///   - progress: called with the fraction done.
    /// - Returns: one value less than there are ids.
    package mutating func logProbabilities(
        of ids: [TokenID], progress: (Double) -> Void = { _ in }
    ) -> [Double] {
        let context = model.configuration.contextLength
        var result: [Double] = []
        result.reserveCapacity(ids.count)
        var windowStart = 0
        while result.count < ids.count - 1 {
            cache.reset()
            // The last token of a window is predicted only, never read.
            let end = min(windowStart + context, ids.count - 1)
            var position = windowStart
            while position < end {
                let count = activations.nextChunkCount(of: end - position)
                model.forward(
                    ids.span.extracting(position..<position + count), cache: &cache,
                    activations: &activations, logits: .all)
                for row in 0..<count where position + row == result.count {
                    result.append(
                        Self.logProbability(
                            of: ids[position + row + 1], in: activations.logits, row: row,
                            scratch: &scratch, kernels: model.kernels))
                }
                position += count
                progress(Double(result.count) / Double(ids.count - 1))
            }
            windowStart = max(windowStart + 1, end - context / 2)
        }
        return result
    }

    /// logit − max − ln Σ exp(logit − max), the sum in double precision.
    private static func logProbability(
        of id: TokenID, in matrix: borrowing Matrix, row: Int, scratch: inout Matrix,
        kernels: Kernels
    ) -> Double {
        let logits = matrix.row(row)
        var best = logits[0]
        for index in logits.indices where logits[index] > best { best = logits[index] }
        var shifted = scratch.mutableRow(0)
        for index in logits.indices { shifted[index] = logits[index] - best }
        kernels.exponentials(of: &shifted)
        var sum = 0.0
        for index in logits.indices { sum += Double(shifted[index]) }
        return Double(logits[Int(id)]) - Double(best) - log(sum)
    }

    /// e to the minus mean.
    package static func perplexity(meanLogProbability mean: Double) -> Double { exp(-mean) }
}
