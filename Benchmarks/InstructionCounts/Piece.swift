// What is counted: the kernels by their callers in the engine and one token through a small model, at each
// precision, and the tokenizer. Sizes are a head's and a layer's of GPT-2 124M where they are not named.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchProtocol

struct Piece: Sendable {
    let name: String
    /// Whether it is another count at each instruction-set level.
    let dependsOnLevel: Bool
    let run: @Sendable (Kernels) throws -> Void

    private init(
        _ name: String, dependsOnLevel: Bool = true,
        run: @escaping @Sendable (Kernels) throws -> Void
    ) {
        self.name = name
        self.dependsOnLevel = dependsOnLevel
        self.run = run
    }

    static let all: [Piece] =
        [
            Piece("attention-1-row-at-512") { try attention(rows: 1, $0) },
            Piece("attention-12-rows-at-512") { try attention(rows: 12, $0) },
            Piece("layer-norm-768") { layerNorm($0) },
            Piece("gelu-3072") { gelu($0) },
        ]
        + Precision.allCases.flatMap { precision in
            [
                Piece("linear-1-row-\(precision.rawValue)") {
                    linear(precision, rows: 1, $0)
                },
                Piece("linear-12-rows-\(precision.rawValue)") {
                    linear(precision, rows: 12, $0)
                },
                Piece("decode-\(precision.rawValue)") {
                    try forward(precision, tokens: 1, $0)
                },
                Piece("prefill-48-\(precision.rawValue)") {
                    try forward(precision, tokens: 48, $0)
                },
            ]
        }
        + [
            Piece("tokenize-english-64-KiB", dependsOnLevel: false) { _ in
                try tokenize(
                    Array(
                        ModelFile.contents(
                            of: "models/shakespeare/validation.txt", limit: 1 << 20
                        )
                        .prefix(1 << 16)))
            },
            Piece("tokenize-one-letter-64-KiB", dependsOnLevel: false) { _ in
                try tokenize([UInt8](repeating: UInt8(ascii: "a"), count: 1 << 16))
            },
            Piece("tokenize-one-letter-128-KiB", dependsOnLevel: false) { _ in
                try tokenize([UInt8](repeating: UInt8(ascii: "a"), count: 1 << 17))
            },
        ]

    /// [T, 256] through 256 × 1024 weights, the shape of a head's worth of the feed-forward product.
    private static func linear(_ precision: Precision, rows: Int, _ kernels: Kernels) {
        let (inputSize, outputSize) = (256, 1024)
        let map = Linear(
            inputSize: inputSize, outputSize: outputSize,
            weights: [Float](repeating: 0.5, count: inputSize * outputSize),
            bias: [Float](repeating: 0.25, count: outputSize), precision: precision,
            kernels: kernels)
        var quantized = QuantizedRows(
            rows: rows, columns: inputSize, precision: precision, kernels: kernels)
        let x = Matrix(rows: rows, columns: inputSize)
        var y = Matrix(rows: rows, columns: outputSize)
        countedRegion { map.forward(x, rows: 0..<rows, quantized: &quantized, into: &y) }
    }

    /// Scores, softmax and weighted sum of one head of 64 behind 512 positions.
    private static func attention(rows: Int, _ kernels: Kernels) throws {
        let (headSize, position) = (64, 512)
        var cache = try KVCache(
            layerCount: 1, headCount: 1, headSize: headSize, contextLength: position + rows)
        cache.advance(by: position)
        let qkv = Matrix(rows: rows, columns: 3 * headSize)
        var weights = Matrix(rows: rows, columns: position + rows)
        var headOutput = Matrix(rows: rows, columns: headSize)
        var merged = Matrix(rows: rows, columns: headSize)
        let scores = AttentionScores(headSize: headSize, scale: 0.125)
        let output = AttentionOutput(
            projection: Linear(
                inputSize: headSize, outputSize: headSize,
                weights: [Float](repeating: 0, count: headSize * headSize), bias: [],
                kernels: kernels),
            headSize: headSize)
        countedRegion {
            var observer = NoObserver()
            scores.forward(
                qkv, tile: 0..<rows, position: position, layer: 0, head: 0, cache: cache,
                into: &weights, kernels: kernels, observer: &observer)
            output.merge(
                weights, tile: 0..<rows, position: position, layer: 0, head: 0, cache: cache,
                scratch: &headOutput, into: &merged, kernels: kernels)
        }
    }

    private static func layerNorm(_ kernels: Kernels) {
        let size = 768
        let norm = LayerNorm(
            weight: [Float](repeating: 1, count: size), bias: [Float](repeating: 0, count: size),
            epsilon: 1e-5)
        let x = Matrix(rows: 1, columns: size)
        var y = Matrix(rows: 1, columns: size)
        countedRegion { norm.forward(x, count: 1, into: &y, kernels: kernels) }
    }

    private static func gelu(_ kernels: Kernels) {
        var x = Matrix(rows: 1, columns: 3072)
        countedRegion {
            var row = x.mutableRow(0)
            kernels.geluTanh(&row)
        }
    }

    /// One pass behind a prompt of 16 tokens, logits of the last row included.
    private static func forward(_ precision: Precision, tokens: Int, _ kernels: Kernels) throws {
        let loaded = try LoadedModel(
            path: "Tests/CheckpointTests/Fixtures/tiny/model",
            precision: PrecisionChoice(precision),
            kernels: kernels)
        let model = loaded.model
        var cache = try model.makeCache()
        var activations = try model.makeActivations(chunkLength: tokens + 16)
        let ids = (0..<tokens + 16).map {
            UInt32(($0 * 7919 + 13) % model.configuration.vocabularySize)
        }
        model.forward(
            ids.span.extracting(first: 16), cache: &cache, activations: &activations, logits: .none)
        countedRegion {
            model.forward(
                ids.span.extracting(last: tokens), cache: &cache, activations: &activations)
        }
    }

    private static func tokenize(_ text: [UInt8]) throws {
        let tokenizer = try Tokenizer(directory: "Tests/Fixtures/gpt2-tokenizer")
        let text = try UTF8Span(validating: text.span)
        var count = 0
        countedRegion { count = tokenizer.tokenize(text).count }
        precondition(count > 0, "no tokens")
    }
}
