// The model: embed → blocks → norm → logits. Not a loop over tokens (Generation/), not a file (ModelFile/).
//
// Shape letters, here and in all comments: T tokens in this pass, S positions seen (cache + T), C hidden size,
// H heads, D head size, F feed-forward size, V vocabulary, L layers. docs/notation.md has the table.
//
// Language Models are Unsupervised Multitask Learners (GPT-2), OpenAI 2019.
// SPDX-License-Identifier: Apache-2.0

/// Which rows a pass leaves logits of.
package enum LogitRows: Sendable, Hashable {
    case none
    case last
    /// Needs activations made for all logits.
    case all
}

/// A loaded model, immutable and shared freely.
///
/// Cache and activations are the caller's.
package struct GPT2: Sendable {
    package let configuration: GPT2Configuration
    /// How the weights are held.
    package let precision: Precision
    package let kernels: Kernels
    package let embedding: Embedding
    package let blocks: [TransformerBlock]
    package let finalNorm: LayerNorm
    package let head: Linear  // [C, V], no bias

    /// An empty cache.
    ///
    /// Keys and values are halves at every precision but f32, whose weights are not rounded either.
    package func makeCache() throws(MemoryShortage) -> KVCache {
        try KVCache(
            layerCount: configuration.layerCount, headCount: configuration.headCount,
            headSize: configuration.headSize, contextLength: configuration.contextLength,
            element: precision == .f32 ? .f32 : .f16)
    }

    /// Scratch memory for passes of this model.
    ///
    /// - Parameters:
    ///   - chunkLength: tokens of a pass at most; nil takes `preferredChunkLength`.
    ///   - allLogits: whether passes may ask for the logits of all rows.
    /// - Throws: where memory is too short for the buffers.
    /// - Returns: buffers that serve one pass at a time.
    package func makeActivations(
        chunkLength: Int? = nil, allLogits: Bool = false
    ) throws(MemoryShortage) -> Activations {
        try Activations(
            sizes: Activations.Sizes(
                contextLength: configuration.contextLength, hiddenSize: configuration.hiddenSize,
                headSize: configuration.headSize, feedForwardSize: configuration.feedForwardSize,
                vocabularySize: configuration.vocabularySize, precision: precision),
            chunkLength: min(chunkLength ?? preferredChunkLength, configuration.contextLength),
            allLogits: allLogits, kernels: kernels)
    }

    /// Tokens of a prefill chunk: as many as keep one block below 50 ms.
    ///
    /// Cancels are looked for between blocks, and one AVX2 core is taken to compute 80 GFLOP/s. The length is a
    /// multiple of 12, so that it fills register tiles of 6 and of 4 rows. Quantized weights are read so quickly that
    /// chunks of half the length are as fast, and need smaller buffers.
    package var preferredChunkLength: Int {
        Self.preferredChunkLength(
            hiddenSize: configuration.hiddenSize, feedForwardSize: configuration.feedForwardSize,
            precision: precision)
    }

    /// The same for a model of these sizes, loaded or not.
    package static func preferredChunkLength(
        hiddenSize width: Int, feedForwardSize: Int, precision: Precision
    ) -> Int {
        let operations = 2 * (4 * width * width + 2 * width * feedForwardSize)
        let limit = precision == .q8 || precision == .q4 ? 132 : 264
        return max(24, min(limit, 4_000_000_000 / operations / 12 * 12))
    }

    /// Runs T tokens that follow the positions in the cache.
    ///
    /// The result does not depend on how a text is cut into passes.
    /// - Precondition: 1 ≤ T ≤ the activations' chunk length, ids below V, cache room for T.
    package func forward(
        _ tokens: Span<UInt32>, cache: inout KVCache, activations: inout Activations,
        logits: LogitRows, observer: inout some ActivationObserver
    ) {
        embed(tokens, cache: cache, activations: &activations, observer: &observer)
        for layer in blocks.indices {
            runBlock(
                layer, count: tokens.count, cache: &cache, activations: &activations,
                observer: &observer)
        }
        finish(
            count: tokens.count, cache: &cache, activations: &activations, logits: logits,
            observer: &observer)
    }

    package func forward(
        _ tokens: Span<UInt32>, cache: inout KVCache, activations: inout Activations,
        logits: LogitRows = .last
    ) {
        var observer = NoObserver()
        forward(
            tokens, cache: &cache, activations: &activations, logits: logits,
            observer: &observer)
    }

    // MARK: - The same pass in steps, for a caller that looks at its sockets between layers

    func embed(
        _ tokens: Span<UInt32>, cache: borrowing KVCache, activations: inout Activations,
        observer: inout some ActivationObserver
    ) {
        precondition(
            tokens.count > 0 && tokens.count <= activations.chunkLength,
            "\(tokens.count) tokens, chunks of \(activations.chunkLength)")
        precondition(
            cache.count + tokens.count <= configuration.contextLength,
            "\(cache.count) + \(tokens.count) tokens, context of \(configuration.contextLength)")
        embedding.forward(
            tokens, position: cache.count, into: &activations.residual, kernels: kernels)
        activations.residual.observe(
            .embedding, at: ObservationPlace(row: cache.count), count: tokens.count, &observer)
    }

    func runBlock(
        _ layer: Int, count: Int, cache: inout KVCache, activations: inout Activations,
        observer: inout some ActivationObserver
    ) {
        blocks[layer].forward(
            count: count, layer: layer, cache: &cache, activations: &activations,
            kernels: kernels, observer: &observer)
    }

    func finish(
        count: Int, cache: inout KVCache, activations: inout Activations, logits: LogitRows,
        observer: inout some ActivationObserver
    ) {
        let rows: Range<Int>
        switch logits {
        case .none: rows = 0..<0
        case .last: rows = count - 1..<count
        case .all: rows = 0..<count
        }
        if !rows.isEmpty {
            computeLogits(
                rows: rows, cache: cache, activations: &activations, observer: &observer)
        }
        cache.advance(by: count)
    }

    /// Logits of some rows of a pass whose blocks have run, before `finish`.
    ///
    /// Row 0 of the activations' logits is that of `rows.lowerBound`.
    func computeLogits(
        rows: Range<Int>, cache: borrowing KVCache, activations: inout Activations,
        observer: inout some ActivationObserver
    ) {
        let place = ObservationPlace(row: cache.count + rows.lowerBound)
        finalNorm.forward(
            activations.residual, first: rows.lowerBound, count: rows.count,
            into: &activations.norm, kernels: kernels)
        activations.norm.observe(.finalNorm, at: place, count: rows.count, &observer)
        head.forward(
            activations.norm, rows: 0..<rows.count, quantized: &activations.quantized,
            into: &activations.logits)
        activations.logits.observe(.logits, at: place, count: rows.count, &observer)
    }
}
