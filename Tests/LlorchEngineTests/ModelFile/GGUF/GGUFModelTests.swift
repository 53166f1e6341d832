// A GGUF file is the same model as the directory it was made from: weights, configuration, logits.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import TestSupport
import Testing

struct GGUFModelTests {
    @Test func readsTheConfiguration() throws {
        #expect(try open(WrittenGGUF(writer)).configuration() == small)
        var file = WrittenGGUF(writer)
        file["gpt2.context_length"] = .uint64(8)
        file["gpt2.block_count"] = .int8(2)
        file["gpt2.attention.layer_norm_epsilon"] = .float64(0.25)
        file["gpt2.feed_forward_length"] = nil
        file["gpt2.attention.head_count_kv"] = .uint32(3)
        file["gpt2.vocab_size"] = .uint32(11)
        file["tokenizer.ggml.eos_token_id"] = .uint32(10)
        file["tokenizer.ggml.eot_token_id"] = .uint32(4)
        let configuration = try open(file).configuration()
        #expect(configuration.layerNormEpsilon == 0.25)
        #expect(configuration.feedForwardSize == 48)
        #expect(configuration.endOfText == [4, 10])
    }

    /// Marks that a key or a spelling names beyond the 11 rows of the table can never come.
    @Test(arguments: [0, 5, 16])
    func marksBeyondTheTableEndNothing(tokenCount: Int) throws {
        var file = WrittenGGUF(writer)
        if tokenCount > 0 {
            var tokens = (0..<tokenCount).map { "t\($0)" }
            tokens[tokenCount - 1] = "<|endoftext|>"
            file.addTokenizer(tokens: tokens, merges: [])
        }
        for (key, id) in [("eos", UInt32(11)), ("eot", 1 << 20), ("eom", 3), ("fim_pad", .max)] {
            file["tokenizer.ggml.\(key)_token_id"] = .uint32(id)
        }
        #expect(try open(file).configuration().endOfText == (tokenCount == 5 ? [3, 4] : [3]))
    }

    @Test func readsWhatWasWritten() throws {
        let file = WrittenGGUF(writer)
        var model = try StoredModel(open(file))
        for ((name, shape, floats), written) in zip(writer.weights(), file.tensors) {
            let isInBlock = name.hasPrefix("h.") && shape.count == 2
            #expect(model.shape(of: name) == (isInBlock ? shape.reversed() : shape))
            let found = try whole(name, of: &model)
            let bytes = found.flatMap { littleEndianBytes(UInt64($0.bitPattern), count: 4) }
            #expect(bytes == written.bytes, "\(name)")
            #expect(isInBlock || found == floats, "\(name)")
        }
        #expect(model.shape(of: "lm_head.weight") == nil)
        #expect(model.shape(of: "token_embd.weight") == nil)
    }

    /// From the file to the last bit of the logits, for tied and own heads.
    @Test(arguments: [true, false]) func givesTheLogitsOfTheDirectory(isTied: Bool) throws {
        let writer = ModelWriter(small.with(tieWordEmbeddings: isTied))
        let directory = try TemporaryDirectory()
        try writer.write(to: directory)
        let opened = try ModelDirectory(path: directory.path)
        var safetensors = try StoredModel(opened, configuration: opened.configuration())
        var gguf = try StoredModel(open(WrittenGGUF(writer)))
        #expect(gguf.configuration == safetensors.configuration)
        let expected = try logits(&safetensors)
        #expect(try logits(&gguf) == expected)
        // The negative twin: one row of one matrix of a block.
        var file = WrittenGGUF(writer)
        file.change("blk.1.attn_output.weight") { $0.bytes[9] ^= 1 }
        var other = try StoredModel(open(file))
        #expect(try logits(&other) != expected)
    }

    @Test func takesARepeatedTableAsATiedHead() throws {
        var file = WrittenGGUF(writer)
        let table = try #require(file.tensors.first)
        file.tensors.append(
            WrittenGGUFTensor("output.weight", table.dimensions, type: 0, bytes: table.bytes))
        #expect(try open(file).configuration().tieWordEmbeddings)
        var repeated = try StoredModel(open(file))
        var once = try StoredModel(open(WrittenGGUF(writer)))
        #expect(try repeated.contentDigest() == once.contentDigest())
        file.change("output.weight") { $0.bytes[100] ^= 1 }
        #expect(try open(file).configuration().tieWordEmbeddings == false)
        var own = try StoredModel(open(file))
        #expect(own.shape(of: "lm_head.weight") == [11, 12])
        #expect(try whole("lm_head.weight", of: &own) != whole("wte.weight", of: &own))
    }

    // MARK: - Digest

    @Test func digestDependsOnTheFloatsOnly() throws {
        var rounded = writer
        rounded.isRounded = true
        let expected = try digest(WrittenGGUF(rounded))
        #expect(expected != (try digest(WrittenGGUF(writer))))
        var halves = WrittenGGUF(rounded)
        var bfloats = WrittenGGUF(rounded)
        for (index, tensor) in halves.tensors.enumerated() {
            let floats = floats(tensor.bytes)
            halves.tensors[index].type = 1
            halves.tensors[index].bytes = floats.flatMap {
                littleEndianBytes(UInt64(Float16($0).bitPattern), count: 2)
            }
            bfloats.tensors[index].type = 30
            bfloats.tensors[index].bytes = floats.flatMap {
                littleEndianBytes(UInt64($0.bitPattern >> 16), count: 2)
            }
        }
        #expect(try digest(halves) == expected)
        #expect(try digest(bfloats) == expected)
        var reordered = WrittenGGUF(rounded)
        reordered.tensors.reverse()
        #expect(try digest(reordered) == expected)
        var epsilon = WrittenGGUF(rounded)
        epsilon["gpt2.attention.layer_norm_epsilon"] = .float32(1e-6)
        #expect(try digest(epsilon) != expected)
    }

    /// What reading passed on is digested once, in whatever order and however often it was read.
    @Test(arguments: 0..<20 as Range<UInt64>) func digestDoesNotDependOnReading(seed: UInt64) throws
    {
        var random = SplitMix(seed: seed)
        var model = try StoredModel(open(WrittenGGUF(writer)))
        for _ in 0..<60 {
            let names = ["wte.weight", "wpe.weight", "h.1.mlp.c_fc.weight", "ln_f.bias"]
            let name = names[Int.random(in: names.indices, using: &random)]
            let shape = try #require(model.shape(of: name))
            let rowCount = shape.count == 2 ? shape[0] : 1
            let first = Int.random(in: 0..<rowCount, using: &random)
            let end = Int.random(in: first...rowCount, using: &random)
            var floats = [Float](repeating: 0, count: (end - first) * (shape.last ?? 1))
            var span = floats.mutableSpan
            try model.read(name, rows: first..<end, into: &span)
        }
        #expect(
            try model.contentDigest().hexadecimal == digest(WrittenGGUF(writer)), "seed \(seed)")
    }

    // MARK: - Refusals

    @Test(arguments: metadataRefusals) func refusesMetadata(_ refusal: Refusal) throws {
        var file = WrittenGGUF(writer)
        refusal.damage(&file)
        let opened = try open(file)
        let error = #expect(throws: ModelFileError.self) { try StoredModel(opened) }
        #expect(error?.description == "\(opened.path): \(refusal.sentence)")
    }

    private static let again = "; convert the model again with llama.cpp's convert_hf_to_gguf.py"
    private static let only = "; this engine runs GPT-2 models only"
    private static let quantize =
        "; make another from its F32 or F16 file: llama-quantize --pure FILE NEW_FILE q8_0"

    static let metadataRefusals = [
        Refusal("general.architecture is missing, expected 'gpt2'" + only) {
            $0["general.architecture"] = nil
        },
        Refusal("general.architecture must be 'gpt2', found 'llama'" + only) {
            $0["general.architecture"] = .string("llama")
        },
        Refusal(
            "general.type must be 'model', found 'adapter'; name the file of the model itself"
        ) { $0["general.type"] = .string("adapter") },
        Refusal(
            "is one of 3 parts of a model; join them: llama-gguf-split --merge FIRST_PART NEW_FILE"
        ) { $0["split.count"] = .uint16(3) },
        Refusal("gpt2.block_count is missing, expected an integer from 1 to 1024" + again) {
            $0["gpt2.block_count"] = nil
        },
        Refusal("gpt2.context_length must be an integer from 1 to 1048576, found 0") {
            $0["gpt2.context_length"] = .uint32(0)
        },
        Refusal("gpt2.embedding_length must be an integer from 1 to 65536, found 4294967295") {
            $0["gpt2.embedding_length"] = .uint32(.max)
        },
        Refusal("gpt2.attention.head_count must be an integer, found array" + again) {
            $0["gpt2.attention.head_count"] = .array(4, [.uint32(3)])
        },
        Refusal(
            "gpt2.attention.head_count must divide gpt2.embedding_length 12, found 5"
        ) { $0["gpt2.attention.head_count"] = .uint32(5) },
        Refusal(
            "gpt2.attention.head_count_kv must be 3 as gpt2.attention.head_count is, found 1; "
                + "GPT-2 has as many of both"
        ) { $0["gpt2.attention.head_count_kv"] = .uint32(1) },
        Refusal(
            "gpt2.attention.layer_norm_epsilon is missing, expected a number from 1e-12 to 1.0"
                + again
        ) { $0["gpt2.attention.layer_norm_epsilon"] = nil },
        Refusal(
            "gpt2.attention.layer_norm_epsilon must be a number from 1e-12 to 1.0, found nan"
        ) { $0["gpt2.attention.layer_norm_epsilon"] = .float32(.nan) },
        Refusal("gpt2.vocab_size is 12, but token_embd.weight has 11 rows") {
            $0["gpt2.vocab_size"] = .uint32(12)
        },
        Refusal(
            "tokenizer.ggml.eos_token_id must not be negative, found -1"
        ) { $0["tokenizer.ggml.eos_token_id"] = .int32(-1) },
        Refusal(
            "tensor token_embd.weight is missing; name a file with weights, not one of a vocabulary"
        ) { $0.tensors.removeFirst() },
        Refusal(
            "token_embd.weight has shape [132], expected 1 to 1048576 rows"
        ) { $0.tensors[0].dimensions = [132] },
        Refusal(
            "does not fit its metadata (2 blocks): position_embd.weight has shape [12, 8], "
                + "expected [8, 12], blk.0.attn_qkv.weight has shape [12, 36], "
                + "expected [36, 12], output_norm.bias is missing, expected shape [12], "
                + "'blk.2.attn_norm.weight' is there, rows first" + again
        ) {
            $0.change("position_embd.weight") { $0.dimensions = [8, 12] }
            $0.change("blk.0.attn_qkv.weight") { $0.dimensions = [36, 12] }
            $0.tensors.removeLast()
            $0.tensors.append(WrittenGGUFTensor("blk.2.attn_norm.weight", [1], floats: [1]))
        },
        Refusal(
            "blk.0.attn_norm.bias has type I32; expected F32, F16, BF16, Q8_0, Q4_0 or Q6_K"
                + quantize
        ) { $0.change("blk.0.attn_norm.bias") { $0.type = 26 } },
    ]

    @Test func refusesQuantizationOfAnotherVersion() throws {
        var wide = WrittenGGUF(
            ModelWriter(
                GPT2Configuration(
                    vocabularySize: 3, contextLength: 1, hiddenSize: 32, layerCount: 1,
                    headCount: 1)))
        wide.change("position_embd.weight") {
            $0.type = 8
            $0.bytes = Array(repeating: 1, count: 34)
        }
        wide["general.quantization_version"] = .uint32(2)
        _ = try StoredModel(open(wide))
        wide["general.quantization_version"] = .uint32(1)
        let opened = try open(wide)
        let error = #expect(throws: ModelFileError.self) { try StoredModel(opened) }
        #expect(error?.problem == "general.quantization_version must be 2, found 1")
        wide.change("position_embd.weight") {
            $0.type = 3
            $0.bytes = Array(repeating: 1, count: 20)
        }
        wide["general.quantization_version"] = nil
        let other = try open(wide)
        #expect(
            #expect(throws: ModelFileError.self) { try StoredModel(other) }?.description
                == "\(other.path): position_embd.weight has type Q4_1; expected F32, F16, BF16, "
                + "Q8_0, Q4_0 or Q6_K" + Self.quantize)
    }

    @Test func saysWhatStandsThereInstead() throws {
        let directory = try TemporaryDirectory()
        func sentence(_ bytes: [UInt8]) throws -> String? {
            let path = try directory.write(bytes, to: "x.gguf")
            let error = #expect(throws: ModelFileError.self) { try GGUFFile(path: path) }
            return error?.description.replacing(directory.path, with: "")
        }
        let naming = "name a GGUF file, or the directory that holds config.json and "
        #expect(
            try sentence([])
                == "/x.gguf: is a file, but no GGUF file; \(naming)model.safetensors")
        #expect(try sentence(Array("version https://git-lfs".utf8))?.contains("LFS") == true)
        #expect(
            try sentence(Array("GGUF".utf8))
                == "/x.gguf: ends inside the header; download it again")
        try directory.write("GGUF", to: "model.safetensors")
        let error = #expect(throws: ModelFileError.self) {
            try GGUFFile(path: directory.path + "/absent.gguf")
        }
        #expect(error?.problem == "does not exist")
        #expect(try open(WrittenGGUF(writer)).name == "m")
    }

    /// Damaged files through everything that looks at them.
    @Test(arguments: 0..<8 as Range<UInt64>) func survivesMutations(seed: UInt64) throws {
        #if DEBUG
        let rounds = 30
        #else
        let rounds = 1_000
        #endif
        var random = SplitMix(seed: seed)
        let directory = try TemporaryDirectory()
        var tiny = WrittenGGUF(
            ModelWriter(
                GPT2Configuration(
                    vocabularySize: 260, contextLength: 2, hiddenSize: 2, layerCount: 1,
                    headCount: 1)))
        tiny.addTokenizer(
            tokens: SmallVocabulary.bytes + ["ab", "abc", "<|endoftext|>"],
            merges: ["a b", "ab c"], kinds: Array(repeating: 1, count: 258) + [3])
        tiny["tokenizer.ggml.eos_token_id"] = .uint32(258)
        let intact = tiny.bytes
        var accepted = 0
        for round in 0..<rounds {
            var bytes = intact
            for _ in 0..<Int.random(in: 0...2, using: &random) {
                GGUFMutation.apply(to: &bytes, &random)
            }
            let path = try directory.write(bytes, to: "m.gguf")
            do {
                let file = try GGUFFile(path: path)
                let tokenizer = try Tokenizer(file)
                var model = try StoredModel(file)
                _ = try model.contentDigest()
                for id in tokenizer.tokenize("abcab <|endoftext|>") {
                    try #require(id < tokenizer.vocabularySize, "seed \(seed), round \(round)")
                }
                accepted += 1
            } catch is ModelFileError {
            } catch is TokenizerError {
            }
        }
        #expect(accepted > rounds / 8 && accepted < rounds, "\(accepted) of \(rounds)")
    }

    // MARK: - Steps

    private let small = GPT2Configuration(
        vocabularySize: 11, contextLength: 8, hiddenSize: 12, layerCount: 2, headCount: 3)
    private var writer: ModelWriter { ModelWriter(small) }

    func open(_ written: WrittenGGUF) throws -> GGUFFile {
        let directory = try TemporaryDirectory()
        // The file stays open when its name is gone.
        return try GGUFFile(path: directory.write(written.bytes, to: "m.gguf"))
    }

    func digest(_ written: WrittenGGUF) throws -> String {
        var model = try StoredModel(open(written))
        return try model.contentDigest().hexadecimal
    }

    func floats(_ bytes: [UInt8]) -> [Float] {
        stride(from: 0, to: bytes.count, by: 4).map { place in
            Float(
                bitPattern: bytes[place..<place + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) })
        }
    }

    func whole(_ name: String, of model: inout StoredModel) throws -> [Float] {
        let shape = try #require(model.shape(of: name))
        var floats = [Float](repeating: .nan, count: shape.reduce(1, *))
        var span = floats.mutableSpan
        try model.read(name, rows: 0..<(shape.count == 2 ? shape[0] : 1), into: &span)
        return floats
    }

    func logits(
        _ source: inout some TensorSource, _ precision: Precision = .f32
    ) throws -> [UInt32] {
        let model = try GPT2(
            reading: &source, precision: precision, kernels: try #require(Kernels(.generic)))
        var cache = try model.makeCache()
        var activations = try model.makeActivations()
        let ids: [UInt32] = [3, 1, 4, 1, 5]
        model.forward(ids.span, cache: &cache, activations: &activations, logits: .last)
        let row = activations.logits.row(0)
        return row.indices.map { row[$0].bitPattern }
    }
}
