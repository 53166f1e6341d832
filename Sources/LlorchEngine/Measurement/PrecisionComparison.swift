// What holding weights in fewer bits does to a model's predictions: two copies of it read one text.
// A measurement: jobs never come here.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

/// Two models of one vocabulary and context, read side by side.
package struct PrecisionComparison: TextReader, ~Copyable {
    private var model: WindowReader
    private var reference: WindowReader
    private var distribution: TokenDistribution
    private var expected: TokenDistribution
    private var result = Result()

    var contextLength: Int { model.model.configuration.contextLength }
    var chunkLength: Int { model.chunkLength }

    package struct Result: Sendable {
        /// ln p of ids 1, 2, … by the model and by the reference.
        package var logProbabilities: [Double] = []
        package var referenceLogProbabilities: [Double] = []
        /// The Kullback-Leibler divergence Σ p·ln(p/q) of every prediction, p being the reference's.
        package var divergences: [Double] = []
        /// Predictions whose likeliest token is the same.
        package var agreementCount = 0

        package var meanDivergence: Double {
            divergences.reduce(0, +) / Double(divergences.count)
        }
        /// 0 to 1.
        package var agreement: Double { Double(agreementCount) / Double(divergences.count) }
    }

    /// - Parameters:
    ///   - model: the model.
    ///   - reference: what it is compared with.
    ///   - chunkLength: tokens of a pass; nil takes what both models can take at once.
    /// - Throws: where memory is too short for cache and buffers.
    package init(
        _ model: GPT2, reference: GPT2, chunkLength: Int? = nil
    ) throws(MemoryShortage) {
        precondition(
            model.configuration.vocabularySize == reference.configuration.vocabularySize
                && model.configuration.contextLength == reference.configuration.contextLength,
            "two models of different shape")
        // Both read the same chunks, whose preferred length depends on the precision.
        let chunkLength =
            chunkLength ?? min(model.preferredChunkLength, reference.preferredChunkLength)
        let reader = try WindowReader(model, chunkLength: chunkLength)
        let referenceReader = try WindowReader(reference, chunkLength: chunkLength)
        let distribution = try TokenDistribution(of: model)
        let expected = try TokenDistribution(of: reference)
        self.model = reader
        self.reference = referenceReader
        self.distribution = distribution
        self.expected = expected
    }

    /// Windows as in `PerplexityMeasurement.logProbabilities`.
    package mutating func compare(
        _ ids: [TokenID], stride: Int, progress: (Double) -> Void = { _ in }
    ) -> Result {
        result = Result()
        readText(ids, stride: stride, progress: progress)
        return result
    }

    mutating func beginWindow() {
        model.beginWindow()
        reference.beginWindow()
    }

    mutating func read(_ tokens: Span<TokenID>) {
        model.read(tokens)
        reference.read(tokens)
    }

    mutating func score(row: Int, next: TokenID) {
        distribution.set(model, row: row)
        expected.set(reference, row: row)
        result.logProbabilities.append(
            distribution.logProbability(of: next, in: model, row: row))
        result.referenceLogProbabilities.append(
            expected.logProbability(of: next, in: reference, row: row))
        result.divergences.append(
            expected.divergence(in: reference, from: distribution, in: model, row: row))
        if distribution.best == expected.best { result.agreementCount += 1 }
    }
}
