// Up, activation, down.
// SPDX-License-Identifier: Apache-2.0

/// The function between the two products of the feed-forward network.
package enum Activation: String, Sendable, Hashable, CaseIterable {
    /// x/2 · (1 + tanh(√(2/π) · (x + 0.044715·x³))), as GPT-2 was trained.
    case geluTanh
    /// x/2 · (1 + erf(x/√2)).
    case geluErf
    case relu
}

/// The position-wise network of a block.
package struct FeedForward: Sendable {
    package let up: Linear  // [C, F]
    package let down: Linear  // [F, C]
    package let activation: Activation

    package init(up: Linear, down: Linear, activation: Activation) {
        self.up = up
        self.down = down
        self.activation = activation
    }

    package func forward(
        _ x: borrowing Matrix, count: Int, hidden: inout Matrix, quantized: inout QuantizedRows,
        into y: inout Matrix, kernels: Kernels
    ) {
        up.forward(x, rows: 0..<count, quantized: &quantized, into: &hidden)
        for t in 0..<count {
            var row = hidden.mutableRow(t)
            switch activation {
            case .geluTanh: kernels.geluTanh(&row)
            case .geluErf: kernels.geluErf(&row)
            case .relu: for i in row.indices where row[i] < 0 { row[i] = 0 }
            }
        }
        down.forward(hidden, rows: 0..<count, quantized: &quantized, into: &y)
    }
}
