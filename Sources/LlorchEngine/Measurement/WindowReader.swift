// The one loop that reads a text window by window and chunk by chunk; what is made of each prediction is the
// business of PerplexityMeasurement.swift and PrecisionComparison.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

/// One model, or several side by side, that read a text and look at the prediction of each of its tokens.
protocol TextReader: ~Copyable {
    /// Tokens of a window at most.
    var contextLength: Int { get }
    /// Tokens of a pass at most.
    var chunkLength: Int { get }

    /// Forgets the window before.
    mutating func beginWindow()

    /// Runs the next tokens of the window.
    mutating func read(_ tokens: Span<TokenID>)

    /// Looks at the prediction behind row `row` of the tokens read last; `next` is the token that follows it.
    mutating func score(row: Int, next: TokenID)
}

extension TextReader where Self: ~Copyable {
    /// Reads a whole text; every token but the first is scored once, in order.
    ///
    /// - Parameters:
    ///   - ids: at least two, below V.
    ///   - stride: tokens from one window's beginning to the next, 1 to the context's length.
    ///   - progress: called with the fraction done.
    mutating func readText(_ ids: [TokenID], stride: Int, progress: (Double) -> Void) {
        let windows = TextWindow.covering(
            tokenCount: ids.count, length: contextLength, stride: stride)
        for window in windows {
            beginWindow()
            for chunk in TokenChunks(window.inputs, length: chunkLength) {
                read(ids.span.extracting(chunk))
                let scored = chunk.clamped(to: window.scored)
                for position in scored {
                    score(row: position - chunk.lowerBound, next: ids[position + 1])
                }
                progress(Double(scored.upperBound) / Double(ids.count - 1))
            }
        }
    }
}

/// A model with the cache and the activations to read a window, chunk by chunk.
struct WindowReader: ~Copyable {
    let model: GPT2
    private var cache: KVCache
    private var activations: Activations

    init(_ model: GPT2, chunkLength: Int?) throws(MemoryShortage) {
        let cache = try model.makeCache()
        let activations = try model.makeActivations(chunkLength: chunkLength, allLogits: true)
        self.model = model
        self.cache = cache
        self.activations = activations
    }

    /// Tokens of a pass at most.
    var chunkLength: Int { activations.chunkLength }

    mutating func beginWindow() { cache.reset() }

    mutating func read(_ tokens: Span<TokenID>) {
        model.forward(tokens, cache: &cache, activations: &activations, logits: .all)
    }

    /// All logits behind a token of the last chunk.
    @_lifetime(borrow self)
    func logits(_ row: Int) -> Span<Float> { activations.logits.row(row) }
}
