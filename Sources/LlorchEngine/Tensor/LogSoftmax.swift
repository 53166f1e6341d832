// ln Σ e^x of a row and its greatest values: what log-probabilities are made of. The same row gives the same bits on
// any machine. Which tokens the values stand for is not known here.
// SPDX-License-Identifier: Apache-2.0

/// The pieces of ln softmax: ln p of an entry is its value less `shift`.
enum LogSoftmax {
    /// Σ e^(x − greatest) in double precision, in order; `terms` is left with the terms.
    static func sumOfExponentials(
        of row: Span<Float>, less greatest: Float, into terms: inout MutableSpan<Float>,
        kernels: Kernels
    ) -> Double {
        for index in row.indices { terms[index] = row[index] - greatest }
        kernels.exponentials(of: &terms)
        var sum = 0.0
        for index in row.indices { sum += Double(terms[index]) }
        return sum
    }

    /// ln Σ e^x, of the greatest value and `sumOfExponentials`.
    static func shift(greatest: Float, sum: Double) -> Double {
        Double(greatest) + Math.logarithm(sum)
    }

    /// Indices of the `count` greatest values, best first, the lowest index of equals.
    static func greatest(_ count: Int, of row: Span<Float>) -> [Int] {
        var found: [Int] = []
        guard count > 0 else { return found }
        found.reserveCapacity(count + 1)
        for index in row.indices {
            if found.count == count, row[index] <= row[found[count - 1]] { continue }
            let place = found.firstIndex { row[$0] < row[index] } ?? found.count
            found.insert(index, at: place)
            if found.count > count { found.removeLast() }
        }
        return found
    }
}
