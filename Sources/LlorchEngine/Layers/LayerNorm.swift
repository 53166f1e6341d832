// (x − mean) / √(variance + ε) · weight + bias, variance over N, one row at a time.
// SPDX-License-Identifier: Apache-2.0

/// A layer norm with learned scale and shift.
package struct LayerNorm: Sendable {
    package let weight: [Float]  // [C]
    package let bias: [Float]  // [C]
    package let epsilon: Float

    package init(weight: [Float], bias: [Float], epsilon: Float) {
        self.weight = weight
        self.bias = bias
        self.epsilon = epsilon
    }

    /// Rows [0, count) of y become the normalised rows [first, first + count) of x.
    package func forward(
        _ x: borrowing Matrix, first: Int = 0, count: Int, into y: inout Matrix, kernels: Kernels
    ) {
        for t in 0..<count {
            var row = y.mutableRow(t)
            kernels.layerNorm(
                x.row(first + t), weight: weight.span, bias: bias.span, epsilon: epsilon,
                into: &row)
        }
    }
}
