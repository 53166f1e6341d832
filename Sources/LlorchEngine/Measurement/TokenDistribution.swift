// The probabilities that one row of logits stands for, for measurements: sums in double precision. The sampler,
// whose draw must be the same on every machine, has integers instead: Sampling/Sampler.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

/// Softmax of one row of logits.
struct TokenDistribution: ~Copyable {
    private let kernels: Kernels
    private var shifted: Matrix  // [1, V]
    /// ln p = logit − shift.
    private(set) var shift = 0.0
    /// The likeliest token, the first of equals.
    private(set) var best = 0
    /// Σ exp(logit − max).
    private var sum = 1.0

    init(of model: GPT2) throws(MemoryShortage) {
        let columns = model.configuration.vocabularySize
        kernels = model.kernels
        shifted = Matrix(
            rows: 1, columns: columns,
            arena: try PageArena(sizes: [Matrix.byteCount(rows: 1, columns: columns)]))
    }

    mutating func set(_ reader: borrowing WindowReader, row: Int) {
        let logits = reader.logits(row)
        var best = 0
        for index in logits.indices where logits[index] > logits[best] { best = index }
        let maximum = logits[best]
        let sum = Self.exponentials(of: logits, less: maximum, into: &shifted, kernels: kernels)
        self.best = best
        self.sum = sum
        // Logits that are no numbers have no logarithm; their log-probabilities are no numbers either.
        shift = sum.isNormal ? LogSoftmax.shift(greatest: maximum, sum: sum) : .nan
    }

    /// Returns their sum.
    private static func exponentials(
        of logits: Span<Float>, less maximum: Float, into matrix: inout Matrix, kernels: Kernels
    ) -> Double {
        var row = matrix.mutableRow(0)
        return LogSoftmax.sumOfExponentials(
            of: logits, less: maximum, into: &row, kernels: kernels)
    }

    func logProbability(
        of id: TokenID, in reader: borrowing WindowReader, row: Int
    ) -> Double {
        Double(reader.logits(row)[Int(id)]) - shift
    }

    /// Σ p · (ln p − ln q) where this is p, set from the row of `reader`, and q was set from that of `others`.
    func divergence(
        in reader: borrowing WindowReader, from other: borrowing TokenDistribution,
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
