// x + attention(norm(x)), then x + feedForward(norm(x)): the pre-norm block of GPT-2.
// SPDX-License-Identifier: Apache-2.0

/// One of L equal blocks.
package struct TransformerBlock: Sendable {
    package let attentionNorm: LayerNorm
    package let attention: Attention
    package let feedForwardNorm: LayerNorm
    package let feedForward: FeedForward

    package init(
        attentionNorm: LayerNorm, attention: Attention, feedForwardNorm: LayerNorm,
        feedForward: FeedForward
    ) {
        self.attentionNorm = attentionNorm
        self.attention = attention
        self.feedForwardNorm = feedForwardNorm
        self.feedForward = feedForward
    }

    /// Rows [0, count) of `activations.residual`, in place.
    func forward(
        count: Int, layer: Int, cache: inout KVCache, activations: inout Activations,
        kernels: Kernels, observer: inout some ActivationObserver
    ) {
        let place = ObservationPlace(layer: layer, row: cache.count)
        attentionNorm.forward(
            activations.residual, count: count, into: &activations.norm, kernels: kernels)
        activations.norm.observe(.attentionNorm, at: place, count: count, &observer)
        attention.forward(
            count: count, layer: layer, cache: &cache, activations: &activations,
            kernels: kernels, observer: &observer)
        activations.projected.observe(.attentionOutput, at: place, count: count, &observer)
        activations.residual.addRows(of: activations.projected, count: count, kernels: kernels)

        feedForwardNorm.forward(
            activations.residual, count: count, into: &activations.norm, kernels: kernels)
        activations.norm.observe(.feedForwardNorm, at: place, count: count, &observer)
        feedForward.forward(
            activations.norm, count: count, hidden: &activations.hidden,
            quantized: &activations.quantized, into: &activations.projected, kernels: kernels)
        activations.projected.observe(.feedForwardOutput, at: place, count: count, &observer)
        activations.residual.addRows(of: activations.projected, count: count, kernels: kernels)
        activations.residual.observe(.blockOutput, at: place, count: count, &observer)
    }
}

extension Matrix {
    fileprivate mutating func addRows(of other: borrowing Matrix, count: Int, kernels: Kernels) {
        for t in 0..<count {
            var row = mutableRow(t)
            kernels.add(other.row(t), to: &row)
        }
    }
}
