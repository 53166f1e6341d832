// Log-probabilities of a given text, token by token. A measurement: jobs never come here.
// SPDX-License-Identifier: Apache-2.0

import Glibc
package import LlorchProtocol

/// Owns a cache and the activations for the logits of whole chunks.
package struct PerplexityMeasurement: ~Copyable {
    private var reader: WindowReader
    private var distribution: Distribution

    /// - Parameters:
    ///   - model: the model.
    ///   - chunkLength: tokens of a pass; nil lets the model choose.
    package init(_ model: GPT2, chunkLength: Int? = nil) {
        reader = WindowReader(model, chunkLength: chunkLength)
        distribution = Distribution(of: model)
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
        var result: [Double] = []
        result.reserveCapacity(ids.count)
        let context = reader.model.configuration.contextLength
        for window in TextWindow.covering(tokenCount: ids.count, length: context, stride: stride) {
            reader.begin()
            var position = window.inputs.lowerBound
            while position < window.inputs.upperBound {
                let count = reader.chunkCount(of: window.inputs.upperBound - position)
                reader.forward(ids.span.extracting(position..<position + count))
                for row in 0..<count where window.scored.contains(position + row) {
                    distribution.set(reader, row: row)
                    result.append(
                        distribution.logProbability(
                            of: ids[position + row + 1], in: reader, row: row))
                }
                position += count
                progress(Double(result.count) / Double(ids.count - 1))
            }
        }
        return result
    }

    /// e to the minus mean.
    package static func perplexity(_ logProbabilities: [Double]) -> Double {
        exp(-logProbabilities.reduce(0, +) / Double(logProbabilities.count))
    }
}

/// Softmax of one row of logits, its sum in double precision.
struct Distribution: ~Copyable {
    private let kernels: Kernels
    private var shifted: Matrix  // [1, V]
    /// ln p = logit − shift.
    private(set) var shift = 0.0
    /// The likeliest token, the first of equals.
    private(set) var best = 0
    /// Σ exp(logit − max).
    private var sum = 1.0

    init(of model: GPT2) {
        kernels = model.kernels
        shifted = Matrix(rows: 1, columns: model.configuration.vocabularySize)
    }

    mutating func set(_ reader: borrowing WindowReader, row: Int) {
        let logits = reader.logits(row)
        var best = 0
        for index in logits.indices where logits[index] > logits[best] { best = index }
        let maximum = logits[best]
        let sum = Self.exponentials(of: logits, less: maximum, into: &shifted, kernels: kernels)
        self.best = best
        self.sum = sum
        shift = Double(maximum) + log(sum)
    }

    /// Returns their sum.
    private static func exponentials(
        of logits: Span<Float>, less maximum: Float, into matrix: inout Matrix, kernels: Kernels
    ) -> Double {
        var row = matrix.mutableRow(0)
        for index in logits.indices { row[index] = logits[index] - maximum }
        kernels.exponentials(of: &row)
        var sum = 0.0
        for index in logits.indices { sum += Double(row[index]) }
        return sum
    }

    func logProbability(
        of id: TokenID, in reader: borrowing WindowReader, row: Int
    ) -> Double {
        Double(reader.logits(row)[Int(id)]) - shift
    }

    /// Σ p · (ln p − ln q) where this is p, set from the row of `reader`, and q was set from that of `others`.
    func divergence(
        in reader: borrowing WindowReader, from other: borrowing Distribution,
        in others: borrowing WindowReader, row: Int
    ) -> Double {
        let weights = shifted.row(0)
        let logits = reader.logits(row)
        let otherLogits = others.logits(row)
        let shifts = other.shift - shift
        var result = 0.0
        for index in logits.indices {
            let difference = Double(logits[index]) - Double(otherLogits[index])
            result += Double(weights[index]) * (difference + shifts)
        }
        return result / sum
    }
}
