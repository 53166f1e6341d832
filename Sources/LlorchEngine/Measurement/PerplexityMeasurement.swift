// Log-probabilities of a given text, token by token. A measurement: jobs never come here.
// SPDX-License-Identifier: Apache-2.0

import Glibc
package import LlorchProtocol

/// Owns a cache and the activations for the logits of whole chunks.
package struct PerplexityMeasurement: TextReader, ~Copyable {
    private var reader: WindowReader
    private var distribution: TokenDistribution
    private var logProbabilities: [Double] = []

    var contextLength: Int { reader.model.configuration.contextLength }
    var chunkLength: Int { reader.chunkLength }

    /// - Parameters:
    ///   - model: the model.
    ///   - chunkLength: tokens of a pass; nil lets the model choose.
    /// - Throws: where memory is too short for cache and buffers.
    package init(_ model: GPT2, chunkLength: Int? = nil) throws(MemoryShortage) {
        let reader = try WindowReader(model, chunkLength: chunkLength)
        let distribution = try TokenDistribution(of: model)
        self.reader = reader
        self.distribution = distribution
    }

    /// ln p of ids 1, 2, …, each given those before it in its window.
    ///
    /// - Parameters:
    ///   - ids: at least two, below V.
    ///   - stride: tokens from one window's beginning to the next, 1 to the context's length.
    ///   - progress: called with the fraction done.
    /// - Returns: one value less than there are ids.
    package mutating func logProbabilities(
        of ids: [TokenID], stride: Int, progress: (Double) -> Void = { _ in }
    ) -> [Double] {
        logProbabilities = []
        logProbabilities.reserveCapacity(ids.count)
        readText(ids, stride: stride, progress: progress)
        return logProbabilities
    }

    mutating func beginWindow() { reader.beginWindow() }

    mutating func read(_ tokens: Span<TokenID>) { reader.read(tokens) }

    mutating func score(row: Int, next: TokenID) {
        distribution.set(reader, row: row)
        logProbabilities.append(distribution.logProbability(of: next, in: reader, row: row))
    }

    /// e to the minus mean.
    package static func perplexity(_ logProbabilities: [Double]) -> Double {
        exp(-logProbabilities.reduce(0, +) / Double(logProbabilities.count))
    }
}
