// Quantized GGUF files: blocks that move are what their values would be, and are digested as they are stored.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import TestSupport
import Testing

extension GGUFModelTests {
    private static let wide = GPT2Configuration(
        vocabularySize: 70, contextLength: 8, hiddenSize: 32, layerCount: 2, headCount: 2)

    /// The matrices of a model in blocks, as ggml's quantizers write them.
    private func quantized(_ kind: GGUFType, tables: GGUFType? = nil) -> WrittenGGUF {
        var file = WrittenGGUF(ModelWriter(Self.wide))
        for (index, tensor) in file.tensors.enumerated() where tensor.dimensions.count == 2 {
            let element = tensor.name == "token_embd.weight" ? tables ?? kind : kind
            file.tensors[index].type = element.rawValue
            file.tensors[index].bytes = GGUFTypeTests.quantized(floats(tensor.bytes), element)
        }
        return file
    }

    /// Moving blocks, and widening, quantizing and packing them, are the same.
    @Test(arguments: [GGUFType.q80, .q40], Precision.allCases)
    func blocksGiveTheLogitsOfTheirValues(_ element: GGUFType, _ precision: Precision) throws {
        // A table in 4 bits would be seen to be one, and so held in 4 bits.
        let file = quantized(element, tables: .q80)
        var stored = try StoredModel(open(file))
        // It hides how values are stored.
        var widened = AlteredSource(stored)
        let expected = try logits(&widened, precision)
        #expect(try logits(&stored, precision) == expected)
        var other = file
        other.change("blk.1.attn_output.weight") { $0.bytes[9] ^= 1 }
        var changed = try StoredModel(open(other))
        #expect(try logits(&changed, precision) != expected)
    }

    /// At q4 the file decides about the token table: 4 bits stay 4 bits, and better ones are kept.
    @Test func tablesAreNoSmallerThanInTheFile() throws {
        func bytesOfHead(_ element: GGUFType) throws -> Int {
            var source = try StoredModel(open(quantized(element)))
            let model = try GPT2(
                reading: &source, precision: .q4, kernels: try #require(Kernels(.generic)))
            #expect(model.head.weight.precision == model.embedding.tokens.precision)
            return model.head.weight.byteCount
        }
        let four = try bytesOfHead(.q40)
        let eight = try bytesOfHead(.q80)
        #expect(four * 17 == eight * 9, "18 and 34 bytes a block, \(four) and \(eight)")
    }

    /// Rows of 34 and 18 bytes end between units of the digest.
    @Test(arguments: [GGUFType.q80, .q40], 0..<20 as Range<UInt64>)
    func digestOfBlocksDoesNotDependOnReading(_ element: GGUFType, seed: UInt64) throws {
        let file = quantized(element)
        let expected = try digest(file)
        var random = SplitMix(seed: seed)
        var model = try StoredModel(open(file))
        for _ in 0..<60 {
            let names = ["wte.weight", "wpe.weight", "h.1.mlp.c_fc.weight"]
            let name = names[Int.random(in: names.indices, using: &random)]
            let shape = try #require(model.shape(of: name))
            let first = Int.random(in: 0..<shape[0], using: &random)
            let end = Int.random(in: first...shape[0], using: &random)
            if Bool.random(using: &random) {
                var floats = [Float](repeating: 0, count: (end - first) * shape[1])
                var span = floats.mutableSpan
                try model.read(name, rows: first..<end, into: &span)
            } else {
                var bytes = [UInt8](repeating: 0, count: 34 * shape[0] * (shape[1] / 32))
                var span = bytes.mutableSpan
                var raw = span.mutableBytes
                try model.readStored(name, rows: first..<end, into: &raw)
            }
        }
        #expect(try model.contentDigest().hexadecimal == expected, "seed \(seed)")
        var other = file
        let place = Int.random(in: 0..<34, using: &random)
        other.change("position_embd.weight") { $0.bytes[$0.bytes.count - 1 - place] ^= 1 }
        #expect(try digest(other) != expected, "seed \(seed)")
    }
}
