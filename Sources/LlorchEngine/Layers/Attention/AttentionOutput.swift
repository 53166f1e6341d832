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
    func merge(
        _ weights: borrowing Matrix, tile: Range<Int>, position: Int, layer: Int, head: Int,
        cache: borrowing KVCache, scratch: inout Matrix, into merged: inout Matrix,  // [T, C]
        kernels: Kernels
    ) {
        let values = cache.headValues(layer: layer, head: head)
        let width = cache.valueStride
        let rowBytes = width * cache.element.byteCount
        // What all rows of the tile see …
        let common = position + 1
        kernels.product(
            weights, at: MatrixOrigin(row: 0, column: 0), rows: tile.count, depth: common, values,
            of: cache.element, wStride: width, columns: width, into: &scratch,
            at: MatrixOrigin(row: 0, column: 0))
        for i in 0..<tile.count {
            // … and what only row i sees, so that no masked element enters a sum.
            kernels.product(
                weights, at: MatrixOrigin(row: i, column: common), rows: 1, depth: i,
                values.extracting(min(common * rowBytes, values.byteCount)..<values.byteCount),
                of: cache.element, wStride: width, columns: width, accumulate: true, into: &scratch,
                at: MatrixOrigin(row: i, column: 0))
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
