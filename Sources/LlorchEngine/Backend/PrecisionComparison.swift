// What holding weights in fewer bits does to a model's predictions: two copies of it read one text.
// A measurement: jobs never come here.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

/// Two models of one vocabulary and context, read side by side.
package struct PrecisionComparison: ~Copyable {
    private var model: WindowReader
    private var reference: WindowReader
    private var distribution: Distribution
    private var expected: Distribution

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

    package init(_ model: GPT2, reference: GPT2, chunkLength: Int? = nil) {
        precondition(
            model.configuration.vocabularySize == reference.configuration.vocabularySize
                && model.configuration.contextLength == reference.configuration.contextLength,
            "two models of different shape")
        self.model = WindowReader(model, chunkLength: chunkLength)
        self.reference = WindowReader(reference, chunkLength: chunkLength)
        distribution = Distribution(of: model)
        expected = Distribution(of: reference)
    }

    /// Windows as in `PerplexityMeasurement.logProbabilities`.
    package mutating func compare(
        _ ids: [TokenID], stride: Int, progress: (Double) -> Void = { _ in }
    ) -> Result {
        var result = Result()
        let context = model.model.configuration.contextLength
        for window in TextWindow.covering(tokenCount: ids.count, length: context, stride: stride) {
            model.begin()
            reference.begin()
            var position = window.inputs.lowerBound
            while position < window.inputs.upperBound {
                let count = model.chunkCount(of: window.inputs.upperBound - position)
                model.forward(ids.span.extracting(position..<position + count))
                reference.forward(ids.span.extracting(position..<position + count))
                for row in 0..<count where window.scored.contains(position + row) {
                    add(row, next: ids[position + row + 1], to: &result)
                }
                position += count
                progress(Double(result.divergences.count) / Double(ids.count - 1))
            }
        }
        return result
    }

    private mutating func add(_ row: Int, next: TokenID, to result: inout Result) {
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
