// weights·v, heads merged, then the output projection.
// SPDX-License-Identifier: Apache-2.0

/// The second half of attention.
package struct AttentionOutput: Sendable {
    package let projection: Linear  // [C, C]
    package let headSize: Int

    package init(projection: Linear, headSize: Int) {
        self.projection = projection
        self.headSize = headSize
    }

    /// Writes one head's columns of `merged` for a tile of rows; positions are added upward.
    package func merge(
        _ weights: borrowing Matrix, tile: Range<Int>, position: Int, layer: Int, head: Int,
        cache: borrowing KVCache, scratch: inout Matrix, into merged: inout Matrix,  // [T, C]
        kernels: Kernels
    ) {
        // Row i sees position + i + 1 values, so that no masked element enters a sum.
        kernels.product(
            weights, at: MatrixOrigin(row: 0, column: 0), rows: tile.count,
            depth: .growing(from: position + 1), cache.headValues(layer: layer, head: head),
            of: cache.element, wStride: cache.valueStride, columns: cache.valueStride,
            into: &scratch, at: MatrixOrigin(row: 0, column: 0))
        for i in 0..<tile.count {
            let row = scratch.row(i)
            var target = merged.mutableRow(tile.lowerBound + i)
            for d in 0..<headSize { target[head * headSize + d] = row[d] }
        }
    }

    func project(
        _ merged: borrowing Matrix, count: Int, quantized: inout QuantizedRows,
        into projected: inout Matrix
    ) {
        projection.forward(merged, rows: 0..<count, quantized: &quantized, into: &projected)
    }
}
