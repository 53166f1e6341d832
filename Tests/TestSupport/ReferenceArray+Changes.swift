// What negative twins do to tensors: scale, transpose, reorder.
// SPDX-License-Identifier: Apache-2.0

extension ReferenceArray {
    package static func constant(_ value: Float, count: Int) -> ReferenceArray {
        ReferenceArray(shape: [count], values: [Float](repeating: value, count: count))
    }

    /// Element by element, from the left.
    package static func sum(_ arrays: ReferenceArray...) -> ReferenceArray {
        precondition(Set(arrays.map(\.shape)).count == 1, "shapes \(arrays.map(\.shape))")
        var total = arrays[0]
        for array in arrays.dropFirst() {
            for index in array.values.indices { total.values[index] += array.values[index] }
        }
        return total
    }

    /// Length of the last axis.
    private var columnCount: Int { shape.last ?? 1 }

    package mutating func multiply(by factor: Float) {
        multiply(columns: 0..<columnCount, by: factor)
    }

    package mutating func multiply(columns: Range<Int>, by factor: Float) {
        for row in 0..<values.count / columnCount {
            for column in columns { values[row * columnCount + column] *= factor }
        }
    }

    /// Column c becomes column c − count, cyclically.
    package mutating func rotateColumns(by count: Int) {
        let old = values
        for index in values.indices {
            let (row, column) = (index / columnCount, index % columnCount)
            values[index] = old[row * columnCount + (column + count) % columnCount]
        }
    }

    /// Transposes each square of a matrix whose width is a multiple of its height.
    package mutating func transposeSquares() {
        let size = shape[0]
        precondition(columnCount % size == 0, "no squares in shape \(shape)")
        let old = values
        for index in values.indices {
            let (row, column) = (index / columnCount, index % columnCount)
            let square = column / size * size
            values[index] = old[(column - square) * columnCount + square + row]
        }
    }

    /// Reverses the order of groups of `count` rows; within a group rows stay in order.
    package mutating func reverseRowGroups(of count: Int) {
        let groups = shape[0] / count
        precondition(groups * count == shape[0], "\(shape[0]) rows in groups of \(count)")
        let old = values
        let size = count * columnCount
        for group in 0..<groups {
            let source = (groups - 1 - group) * size
            values.replaceSubrange(
                group * size..<(group + 1) * size, with: old[source..<source + size])
        }
    }
}
