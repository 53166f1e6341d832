// Causal multi-head self-attention: project, score, merge, with the cache between the first two.
// Attention Is All You Need, https://arxiv.org/abs/1706.03762, section 3.2; masked as in GPT-2.
// SPDX-License-Identifier: Apache-2.0

/// The three parts of attention in order.
package struct Attention: Sendable {
    package let qkv: QKVProjection
    package let scores: AttentionScores
    package let output: AttentionOutput
    package let headCount: Int

    /// Rows that share a pass over a head's keys and values; a whole number of register tiles.
    static let tileRows = 12

    package init(
        qkv: QKVProjection, scores: AttentionScores, output: AttentionOutput, headCount: Int
    ) {
        self.qkv = qkv
        self.scores = scores
        self.output = output
        self.headCount = headCount
    }

    /// From the normalised rows in `activations.norm` to the block's addend in `activations.projected`.
    func forward(
        count: Int, layer: Int, cache: inout KVCache, activations: inout Activations,
        kernels: Kernels, observer: inout some ActivationObserver
    ) {
        qkv.forward(
            activations.norm, count: count, layer: layer, cache: &cache,
            quantized: &activations.quantized, into: &activations.qkv)
        observeProjections(count, layer, cache.count, activations.qkv, &observer)
        for head in 0..<headCount {
            for first in stride(from: 0, to: count, by: Self.tileRows) {
                let tile = first..<min(first + Self.tileRows, count)
                scores.forward(
                    activations.qkv, tile: tile, position: cache.count + first, layer: layer,
                    head: head, cache: cache, into: &activations.attentionWeights,
                    kernels: kernels, observer: &observer)
                output.merge(
                    activations.attentionWeights, tile: tile, position: cache.count + first,
                    layer: layer, head: head, cache: cache, scratch: &activations.headOutput,
                    into: &activations.merged, kernels: kernels)
            }
        }
        output.project(
            activations.merged, count: count, quantized: &activations.quantized,
            into: &activations.projected)
    }

    private func observeProjections<Observer: ActivationObserver>(
        _ count: Int, _ layer: Int, _ position: Int, _ qkv: borrowing Matrix,
        _ observer: inout Observer
    ) {
        guard Observer.isActive else { return }
        let width = qkv.columns / 3
        for t in 0..<count {
            let row = qkv.row(t)
            let place = ObservationPlace(layer: layer, row: position + t)
            for (index, point) in [ObservationPoint.query, .key, .value].enumerated() {
                observer.observe(
                    point, at: place, rows: 1, columns: width,
                    values: row.extracting(index * width..<(index + 1) * width))
            }
        }
    }
}
