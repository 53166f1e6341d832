// A weight that is no number, or too large for the precision, ends the loading and is named; every tensor, both kinds of
// files, every precision.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import TestSupport
import Testing

@Suite struct BrokenWeightTests {
    private let configuration = GPT2Configuration(
        vocabularySize: 70, contextLength: 8, hiddenSize: 32, layerCount: 2, headCount: 2,
        tieWordEmbeddings: false)
    private static let broken =
        "the model is broken: download or convert it again, or take an earlier state of its training"

    /// The first and the last weight of each tensor, and one in its middle.
    @Test(arguments: Precision.allCases)
    func everyTensorOfADirectory(precision: Precision) throws {
        let writer = ModelWriter(configuration)
        for (name, shape, floats) in writer.weights() {
            let places = [0, floats.count / 2 + 1, floats.count - 1]
            for (place, value) in zip(places, [Float.nan, .infinity, -.infinity]) {
                var broken = writer
                broken.prefix = "transformer."
                broken.alter = { tensors in
                    for index in tensors.indices where tensors[index].name.hasSuffix(name) {
                        tensors[index].set(value, at: place)
                    }
                }
                let directory = try TemporaryDirectory()
                try broken.write(to: directory)
                let opened = try ModelDirectory(path: directory.path)
                var source = try StoredModel(opened, configuration: opened.configuration())
                let stored = name == "lm_head.weight" ? name : "transformer." + name
                #expect(
                    sentence(&source, precision)
                        == "\(directory.path)/model.safetensors: tensor '\(stored)' has \(value) at "
                        + "\(Self.text(place, shape)), expected a number; \(Self.broken)")
            }
        }
        var intact = try StoredModel(file: WrittenGGUF(writer))
        #expect(sentence(&intact, precision) == nil)
    }

    @Test(arguments: Precision.allCases)
    func everyTensorOfAGGUFFile(precision: Precision) throws {
        let file = WrittenGGUF(ModelWriter(configuration))
        for tensor in file.tensors {
            let count = tensor.bytes.count / 4
            for place in [0, count / 3, count - 1] {
                var broken = file
                broken.change(tensor.name) { $0.set(.nan, at: place) }
                var source = try StoredModel(file: broken)
                let shape = tensor.dimensions.reversed().map { Int($0) }
                #expect(
                    sentence(&source, precision)?.hasSuffix(
                        "m.gguf: tensor '\(tensor.name)' has nan at \(Self.text(place, shape)), "
                            + "expected a number; \(Self.broken)") == true)
            }
        }
    }

    /// The scale of a block is not finite: bits of NaN, of a NaN with a sign, and of the infinities.
    @Test(arguments: [GGUFType.q80, .q40, .q6K], Precision.allCases)
    func blocksWithoutAScale(element: GGUFType, precision: Precision) throws {
        var file = WrittenGGUF(
            ModelWriter(
                GPT2Configuration(
                    vocabularySize: 70, contextLength: 8, hiddenSize: 256, layerCount: 1,
                    headCount: 2)))
        for index in file.tensors.indices where file.tensors[index].dimensions.count == 2 {
            let values = file.tensors[index].dimensions.reduce(1, *)
            file.tensors[index].type = element.rawValue
            file.tensors[index].bytes = [UInt8](
                repeating: 1, count: Int(values) / element.valuesPerBlock * element.bytesPerBlock)
        }
        var intact = try StoredModel(file: file)
        #expect(sentence(&intact, precision) == nil)
        for name in ["token_embd.weight", "position_embd.weight", "blk.0.ffn_up.weight"] {
            for bits in [0x7E00, 0xFC01, 0x7C00, 0xFC00] as [UInt16] {
                var broken = file
                let block = 69 * 256 / element.valuesPerBlock
                let blockOfName = name == "position_embd.weight" ? 3 : block
                broken.change(name) {
                    let place =
                        blockOfName * element.bytesPerBlock
                        + (element == .q6K ? element.bytesPerBlock - 2 : 0)
                    $0.bytes[place] = UInt8(truncatingIfNeeded: bits)
                    $0.bytes[place + 1] = UInt8(truncatingIfNeeded: bits >> 8)
                }
                var source = try StoredModel(file: broken)
                let row = blockOfName * element.valuesPerBlock / 256
                let found = sentence(&source, precision)
                #expect(
                    found?.contains("m.gguf: tensor '\(name)' has ") == true
                        && found?.contains(" at row \(row), column ") == true
                        && found?.hasSuffix(Self.broken) == true,
                    "\(name) \(bits): \(found ?? "loaded")")
            }
        }
    }

    /// The largest weights that fit, and the next ones.
    @Test(
        arguments: [
            (Precision.bf16, 0x1.fefffep127, 0x1.ffp127), (.q8, 65504 * 127, 65504 * 127 + 1),
            (.q4, 65504 * 8, 65504 * 8 + 0.0625), (.f32, Float.greatestFiniteMagnitude, .infinity),
        ] as [(Precision, Float, Float)])
    func weightsThatArePastThePrecision(
        precision: Precision, largest: Float, beyond: Float
    ) throws {
        let name = "blk.1.ffn_down.weight"
        for sign in [1, -1] as [Float] {
            var file = WrittenGGUF(ModelWriter(configuration))
            file.change(name) { $0.set(sign * largest, at: 77) }
            var fitting = try StoredModel(file: file)
            #expect(sentence(&fitting, precision) == nil)
            file.change(name) { $0.set(sign * beyond, at: 77) }
            var past = try StoredModel(file: file)
            let found = sentence(&past, precision)
            let place = "tensor '\(name)' has \(sign * beyond) at row 0, column 77"
            #expect(found?.contains(place) == true, "\(found ?? "loaded")")
            if precision == .f32 { continue }
            #expect(
                found?.contains(
                    ", but \(precision.rawValue) holds no weight beyond ±\(largest); load it with "
                        + "--precision f32") == true, "\(found ?? "loaded")")
            #expect(sentence(&past, .f32) == nil)
        }
    }

    /// Blocks of 8 bits hold what blocks of 4 do not.
    @Test func blocksThatArePastThePrecision() throws {
        var file = WrittenGGUF(ModelWriter(configuration))
        file.change("blk.0.attn_qkv.weight") {
            let block = littleEndianBytes(UInt64(Float16(5000).bitPattern), count: 2)
            let count = Int($0.dimensions.reduce(1, *)) / 32
            $0.type = GGUFType.q80.rawValue
            $0.bytes = (0..<count).flatMap { _ in block + [UInt8](repeating: 100, count: 32) }
            // Of all blocks the third has the largest value at its end.
            $0.bytes[2 * 34 + 33] = 127
        }
        var source = try StoredModel(file: file)
        let found = sentence(&source, .q4)
        #expect(
            found?.contains("has 635000.0 at row 2, column 31, but q4") == true, "\(found ?? "")")
        #expect(sentence(&source, .q8) == nil)
    }

    // MARK: - Steps

    private static func text(_ place: Int, _ shape: [Int]) -> String {
        shape.count == 2
            ? "row \(place / shape[1]), column \(place % shape[1])" : "place \(place)"
    }

    /// What ends the loading; nil where nothing does.
    private func sentence(_ source: inout StoredModel, _ precision: Precision) -> String? {
        do {
            _ = try GPT2(reading: &source, precision: precision, kernels: .generic)
            return nil
        } catch {
            return "\(error)"
        }
    }
}

extension StoredModel {
    /// The file stays open when its name is gone.
    init(file: WrittenGGUF) throws {
        let directory = try TemporaryDirectory()
        try self.init(GGUFFile(path: directory.write(file.bytes, to: "m.gguf")))
    }
}

extension WrittenTensor {
    fileprivate mutating func set(_ value: Float, at place: Int) {
        let bits = littleEndianBytes(UInt64(value.bitPattern), count: 4)
        bytes.replaceSubrange(place * 4..<place * 4 + 4, with: bits)
    }
}

extension WrittenGGUFTensor {
    fileprivate mutating func set(_ value: Float, at place: Int) {
        let bits = littleEndianBytes(UInt64(value.bitPattern), count: 4)
        bytes.replaceSubrange(place * 4..<place * 4 + 4, with: bits)
    }
}
