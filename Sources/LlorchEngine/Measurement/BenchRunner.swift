// Times forward passes as llama-bench does: prompt processing and token generation at a depth, one thread.
// Tokenizing and sampling are left out, as there.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

/// Runs rows on one model.
package struct BenchRunner: ~Copyable {
    private let model: GPT2
    private var cache: KVCache
    private var activations: Activations
    /// The first positions of the cache that hold the first of `ids`, whatever was run since.
    private var kept = 0

    /// - Parameters:
    ///   - model: the model.
    ///   - chunkLength: tokens of a pass; nil lets the model choose.
    /// - Throws: where memory is too short for cache and buffers.
    package init(_ model: GPT2, chunkLength: Int?) throws(MemoryShortage) {
        let cache = try model.makeCache()
        let activations = try model.makeActivations(chunkLength: chunkLength)
        self.model = model
        self.cache = cache
        self.activations = activations
    }

    package var cacheByteCount: Int { cache.byteCount }

    /// The time of each repetition, after one that does not count.
    package mutating func measure(
        _ test: BenchTest, repetitions: Int, progress: (Double) -> Void
    ) -> [Duration] {
        var samples: [Duration] = []
        for repetition in 0...repetitions {
            let sample = measureOnce(test)
            if repetition > 0 { samples.append(sample) }
            progress(Double(repetition) / Double(repetitions))
        }
        return samples
    }

    /// The time of one run; filling the cache to the depth is not counted.
    package mutating func measureOnce(_ test: BenchTest) -> Duration {
        cache.truncate(to: min(kept, test.depth))
        prefill(Array(ids(test.depth)[cache.count...]))
        kept = test.depth
        let prompt = ids(max(test.prompt, 1))
        let start = ContinuousClock.now
        if test.prompt > 0 {
            prefill(prompt)
        } else {
            for _ in 0..<test.generated {
                model.forward(prompt.span, cache: &cache, activations: &activations)
            }
        }
        return start.duration(to: .now)
    }

    private mutating func prefill(_ ids: [TokenID]) {
        for chunk in TokenChunks(0..<ids.count, length: activations.chunkLength) {
            model.forward(
                ids.span.extracting(chunk), cache: &cache, activations: &activations,
                logits: chunk.upperBound == ids.count ? .last : .none)
        }
    }

    /// Ids that jump through the vocabulary, as text does not repeat one row of the table.
    private func ids(_ count: Int) -> [TokenID] {
        let size = model.configuration.vocabularySize
        return (0..<count).map { TokenID(($0 * 7919 + 13) % size) }
    }
}

extension Duration {
    /// With the fractions that a `Double` has room for.
    package var nanoseconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) * 1e9 + Double(attoseconds) / 1e9
    }
}
