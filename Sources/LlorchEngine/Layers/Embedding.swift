// Token row + position row: the input of the first block.
// SPDX-License-Identifier: Apache-2.0

/// The two tables; the token table is the packed output matrix where the head is tied, stored once.
package struct Embedding: Sendable {
    package let tokens: PackedMatrix  // [C, V]: a token's row is an output column
    package let positions: [Float]  // [S, C]

    package init(tokens: PackedMatrix, positions: [Float]) {
        self.tokens = tokens
        self.positions = positions
    }

    /// Rows [0, T) of x become the sums for tokens at `position`, `position` + 1, ….
    package func forward(
        _ ids: Span<UInt32>, position: Int, into x: inout Matrix, kernels: Kernels
    ) {
        let width = x.columns
        for t in ids.indices {
            var row = x.mutableRow(t)
            tokens.copyColumn(Int(ids[t]), into: &row)
            let first = (position + t) * width
            kernels.add(positions.span.extracting(first..<first + width), to: &row)
        }
    }
}
