// The precision that a model is held in where nobody chose one.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import TestSupport
import Testing

@Suite struct AutomaticPrecisionTests {
    private let configuration = GPT2Configuration(
        vocabularySize: 70, contextLength: 8, hiddenSize: 256, layerCount: 1, headCount: 2)

    struct Case: Sendable, CustomTestStringConvertible {
        var blocks: GGUFType
        var table: GGUFType
        var precision: Precision
        var reason: String
        var testDescription: String { "\(blocks.name), table \(table.name)" }
    }

    static let cases = [
        Case(blocks: .q80, table: .q80, precision: .q8, reason: "Q8_0"),
        Case(blocks: .q40, table: .q40, precision: .q4, reason: "Q4_0"),
        Case(blocks: .q40, table: .q80, precision: .q4, reason: "Q8_0 and Q4_0"),
        Case(blocks: .q40, table: .q6K, precision: .q4, reason: "Q4_0 and Q6_K"),
        Case(blocks: .q80, table: .q40, precision: .q8, reason: "Q8_0 and Q4_0"),
        Case(blocks: .q80, table: .q6K, precision: .q8, reason: "Q8_0 and Q6_K"),
        Case(blocks: .q6K, table: .q6K, precision: .f32, reason: "Q6_K"),
        Case(blocks: .q80, table: .float16, precision: .f32, reason: "F16 and Q8_0"),
        Case(blocks: .q40, table: .float32, precision: .f32, reason: "F32 and Q4_0"),
        Case(blocks: .bfloat16, table: .bfloat16, precision: .bf16, reason: "BF16"),
        Case(blocks: .bfloat16, table: .float32, precision: .f32, reason: "F32 and BF16"),
        Case(blocks: .float32, table: .float32, precision: .f32, reason: "F32"),
    ]

    @Test(arguments: cases) func followsWhatTheFileStores(_ given: Case) throws {
        var file = WrittenGGUF(ModelWriter(configuration))
        for index in file.tensors.indices where file.tensors[index].dimensions.count == 2 {
            let name = file.tensors[index].name
            if name == "position_embd.weight" { continue }
            let element = name == "token_embd.weight" ? given.table : given.blocks
            let values = Int(file.tensors[index].dimensions.reduce(1, *))
            file.tensors[index].type = element.rawValue
            file.tensors[index].bytes = [UInt8](
                repeating: 1, count: values / element.valuesPerBlock * element.bytesPerBlock)
        }
        var source = try StoredModel(file: file)
        let chosen = try source.precision(.auto)
        #expect(chosen.precision == given.precision)
        #expect(chosen.reason == "the matrices are stored in \(given.reason)")
        for precision in Precision.allCases {
            #expect(try source.precision(PrecisionChoice(precision)).precision == precision)
        }
    }

    /// Halves have three more bits than bfloat16; one value that uses them decides.
    @Test func halvesAreHeldInBF16WhereThatLosesNothing() throws {
        var writer = ModelWriter(configuration)
        writer.dtype = "F16"
        writer.isRounded = true
        let (precision, reason) = try choice(writer)
        #expect(precision == .bf16)
        #expect(
            reason == "the matrices are stored in F16, and bf16 holds all of their values")
        writer.alter = { tensors in
            for index in tensors.indices where tensors[index].name == "h.0.mlp.c_proj.weight" {
                // 1 and its neighbour.
                let last = tensors[index].bytes.count - 2
                tensors[index].bytes.replaceSubrange(last..<last + 2, with: [0x01, 0x3C])
            }
        }
        let (exact, why) = try choice(writer)
        #expect(exact == .f32)
        #expect(
            why
                == "the matrices are stored in F16, and bf16 does not hold all of their values")
    }

    /// Looking at weights changes nothing of what is said of them later.
    @Test func theDigestIsTheSame() throws {
        var writer = ModelWriter(configuration)
        writer.dtype = "F16"
        writer.isRounded = true
        let directory = try TemporaryDirectory()
        try writer.write(to: directory)
        let opened = try ModelDirectory(path: directory.path)
        var looked = try StoredModel(opened, configuration: opened.configuration())
        var other = looked
        _ = try looked.precision(.auto)
        #expect(try looked.contentDigest() == other.contentDigest())
    }

    /// The demo model is stored in halves that bf16 does not hold.
    @Test func isTheStandardOfThePublicFace() throws {
        let model = try LanguageModel(path: CheckpointModel.named("shakespeare").directory)
        #expect(model.facts.precision == .f32)
        let given = try LanguageModel(
            path: CheckpointModel.named("shakespeare").directory, precision: .q8)
        #expect(given.facts.precision == .q8)
    }

    private func choice(_ writer: ModelWriter) throws -> (Precision, String) {
        let directory = try TemporaryDirectory()
        try writer.write(to: directory)
        let opened = try ModelDirectory(path: directory.path)
        var source = try StoredModel(opened, configuration: opened.configuration())
        let chosen = try source.precision(.auto)
        return (chosen.precision, chosen.reason)
    }
}
