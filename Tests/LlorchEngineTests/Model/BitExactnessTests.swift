// The promise of docs/numerics.md: the same logits to the last bit at any instruction-set level, in any chunks,
// token by token, and after a resumption anywhere. `==` on bits, no tolerance.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchProtocol
import TestSupport
import Testing

@Suite struct BitExactnessTests {
    /// Shapes with a head size of 20, a feed-forward size that is no multiple of 16, two key panels.
    static let configurations = [
        GPT2Configuration(
            vocabularySize: 301, contextLength: 160, hiddenSize: 48, layerCount: 2, headCount: 3),
        GPT2Configuration(
            vocabularySize: 97, contextLength: 150, hiddenSize: 60, layerCount: 3, headCount: 3,
            feedForwardSize: 130, activation: .geluErf),
        GPT2Configuration(
            vocabularySize: 512, contextLength: 200, hiddenSize: 320, layerCount: 1, headCount: 5),
    ]

    /// Seeded weights without a file.
    struct RandomTensors: TensorSource {
        let configuration: GPT2Configuration
        var generator = SplitMix(seed: 21)

        init(_ configuration: GPT2Configuration) { self.configuration = configuration }

        func shape(of name: String) -> [Int]? {
            configuration.requiredTensors.first { $0.name == name }?.shape
        }

        func layout(of name: String) -> MatrixLayout { .inputRows }

        mutating func read(
            _ name: String, rows: Range<Int>, into destination: inout MutableSpan<Float>
        ) throws(ModelFileError) {
            let spread: Float = name.hasSuffix("bias") ? 0.1 : 0.4
            for index in destination.indices {
                destination[index] = Float.random(in: -spread...spread, using: &generator)
            }
        }
    }

    static func model(
        _ configuration: GPT2Configuration, _ precision: Precision,
        _ level: InstructionSet = .best
    ) throws -> GPT2 {
        var source = RandomTensors(configuration)
        return try GPT2(
            reading: &source, precision: precision, kernels: try #require(Kernels(level)))
    }

    static func ids(_ configuration: GPT2Configuration) -> [UInt32] {
        (0..<configuration.contextLength).map {
            UInt32(($0 * 7919 + 13) % configuration.vocabularySize)
        }
    }

    /// Bits of the logits of every row, computed in passes of `chunk` tokens.
    static func logits(_ model: GPT2, _ ids: [UInt32], chunk: Int) throws -> [[UInt32]] {
        var cache = try model.makeCache()
        var activations = try model.makeActivations(chunkLength: chunk, allLogits: true)
        var rows: [[UInt32]] = []
        for first in stride(from: 0, to: ids.count, by: chunk) {
            let count = min(chunk, ids.count - first)
            model.forward(
                ids.span.extracting(first..<first + count), cache: &cache,
                activations: &activations, logits: .all)
            for index in 0..<count {
                let row = activations.logits.row(index)
                rows.append(row.indices.map { row[$0].bitPattern })
            }
        }
        return rows
    }

    @Test(arguments: configurations, Precision.allCases) func chunksDoNotChangeABit(
        _ configuration: GPT2Configuration, _ precision: Precision
    ) throws {
        let model = try Self.model(configuration, precision)
        let ids = Self.ids(configuration)
        let oneByOne = try Self.logits(model, ids, chunk: 1)
        for chunk in [2, 5, 7, 12, 13, 64, ids.count] {
            #expect(try Self.logits(model, ids, chunk: chunk) == oneByOne, "chunks of \(chunk)")
        }
    }

    @Test(arguments: configurations, Precision.allCases) func levelsDoNotChangeABit(
        _ configuration: GPT2Configuration, _ precision: Precision
    ) throws {
        let ids = Self.ids(configuration)
        let expected = try Self.logits(
            try Self.model(configuration, precision, .generic), ids, chunk: 64)
        for level in InstructionSet.allCases where level.isSupported {
            for chunk in [1, 64] {
                let found = try Self.logits(
                    try Self.model(configuration, precision, level), ids, chunk: chunk)
                #expect(found == expected, "\(level.rawValue), chunks of \(chunk)")
            }
        }
    }

    @Test(arguments: Precision.allCases) func laterTokensDoNotChangeEarlierRows(
        _ precision: Precision
    ) throws {
        let model = try Self.model(Self.configurations[0], precision)
        var ids = Self.ids(Self.configurations[0])
        let whole = try Self.logits(model, ids, chunk: 64)
        ids[100] = (ids[100] + 1) % 301
        let changed = try Self.logits(model, ids, chunk: 64)
        #expect(changed[..<100] == whole[..<100])
        // The negative twin: the row of the changed token and the one after it do change.
        #expect(changed[100] != whole[100])
        #expect(changed[101] != whole[101])
    }

    /// A cache that is cut back and filled again, with other tokens in between, holds no trace of them.
    @Test(arguments: [1, 63, 64, 65, 100], [Precision.f32, .q4]) func aCutCacheForgets(
        _ length: Int, _ precision: Precision
    ) throws {
        let model = try Self.model(Self.configurations[1], precision)
        let ids = Self.ids(Self.configurations[1])
        let expected = try Self.logits(model, ids, chunk: 150)
        var cache = try model.makeCache()
        var activations = try model.makeActivations(chunkLength: 150, allLogits: true)
        let others = ids.map { ($0 + 5) % 97 }
        let mixed = Array(ids[..<length] + others[length...])
        model.forward(mixed.span, cache: &cache, activations: &activations, logits: .none)
        cache.truncate(to: length)
        let rest = Array(ids[length...])
        model.forward(rest.span, cache: &cache, activations: &activations, logits: .all)
        for index in rest.indices {
            let row = activations.logits.row(index)
            #expect(row.indices.map { row[$0].bitPattern } == expected[length + index])
        }
    }

    /// Precisions are different models: each pair differs, so none is another in disguise.
    @Test func precisionsDiffer() throws {
        let ids = Self.ids(Self.configurations[2])
        let logits = try Precision.allCases.map {
            try Self.logits(Self.model(Self.configurations[2], $0), ids, chunk: 64)
        }
        #expect(Set(logits).count == Precision.allCases.count)
    }

    /// The negative twin of all of these: other weights are seen, so the comparisons can fail.
    @Test func otherWeightsAreSeen() throws {
        var source = RandomTensors(Self.configurations[0])
        source.generator = SplitMix(seed: 22)
        let other = try GPT2(reading: &source, kernels: try #require(Kernels(.best)))
        let ids = Self.ids(Self.configurations[0])
        let model = try Self.model(Self.configurations[0], .f32)
        let logits = try Self.logits(model, ids, chunk: 64)
        #expect(try Self.logits(other, ids, chunk: 64) != logits)
    }
}
