// Weights come out as they were written, however they lie; what does not fit is refused at once.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import TestSupport
import Testing

struct SafetensorsModelTests {
    @Test(arguments: ["F32", "F16", "BF16"], [1, 3])
    func readsWhatWasWritten(dtype: String, shards: Int) throws {
        var writer = ModelWriter(small)
        writer.dtype = dtype
        writer.shards = shards
        writer.isRounded = true
        var model = try open(writer)
        for (name, shape, floats) in writer.weights() {
            #expect(model.shape(of: name) == shape)
            #expect(try whole(name, of: &model) == floats, "\(name)")
        }
        #expect(model.shape(of: "lm_head.weight") == nil)
        #expect(model.shape(of: "transformer.wte.weight") == nil)
    }

    @Test func readsRows() throws {
        let writer = ModelWriter(small)
        var model = try open(writer)
        let table = try #require(writer.weights().first)
        #expect(table.name == "wte.weight")
        var rows = [Float](repeating: 0, count: 3 * small.hiddenSize)
        var span = rows.mutableSpan
        try model.read("wte.weight", rows: 4..<7, into: &span)
        #expect(rows == Array(table.floats[4 * small.hiddenSize..<7 * small.hiddenSize]))
    }

    /// A tensor of several slices, in each element type.
    @Test(arguments: ["F32", "F16", "BF16"])
    func readsMoreThanASlice(dtype: String) throws {
        let rows = 2 * StoredTensor.sliceCount / 64 + 5
        var writer = ModelWriter(
            GPT2Configuration(
                vocabularySize: rows, contextLength: 2, hiddenSize: 64, layerCount: 1, headCount: 1)
        )
        writer.dtype = dtype
        writer.isRounded = true
        var model = try open(writer)
        let table = try #require(writer.weights().first)
        #expect(try whole("wte.weight", of: &model) == table.floats)
    }

    @Test func ignoresMasksAndATiedHeadThatIsTheTable() throws {
        var writer = ModelWriter(small)
        writer.prefix = "transformer."
        let table = try #require(writer.weights().first)
        writer.extras = [
            WrittenTensor(
                name: "transformer.h.0.attn.bias", dtype: "BOOL", shape: [1, 1, 8, 8],
                bytes: Array(repeating: 1, count: 64)),
            WrittenTensor(
                name: "transformer.h.0.attn.masked_bias", shape: [], floats: [-1e4]),
            WrittenTensor(name: "lm_head.weight", shape: table.shape, floats: table.floats),
        ]
        var model = try open(writer)
        #expect(model.shape(of: "lm_head.weight") == nil)
        #expect(model.shape(of: "h.0.attn.bias") == nil)
        #expect(try model.contentDigest().hexadecimal == digest(ModelWriter(small)))
    }

    /// safetensors' save_model keeps one of two names that share a tensor, the first in the alphabet.
    @Test func takesAHeadAloneForTheTable() throws {
        var writer = ModelWriter(small)
        writer.prefix = "transformer."
        writer.alter = { $0[0].name = "lm_head.weight" }
        var model = try open(writer)
        #expect(try model.contentDigest().hexadecimal == digest(ModelWriter(small)))
        #expect(model.shape(of: "lm_head.weight") == nil)
    }

    /// Wrappers for training leave their names in front.
    @Test(arguments: [
        "module.", "model.", "_orig_mod.", "module._orig_mod.transformer.", "model.transformer.",
    ])
    func leavesPrefixesOfWrappersOut(prefix: String) throws {
        var writer = ModelWriter(small)
        writer.prefix = prefix
        #expect(try digest(writer) == digest(ModelWriter(small)))
    }

    @Test(arguments: [
        "transformer.h.0.attn.c_attn.lora_A.default.weight", "h.0.mlp.c_fc.base_layer.weight",
        "lm_head.modules_to_save.default.weight",
    ])
    func refusesAdapters(name: String) {
        var writer = ModelWriter(small)
        writer.extras = [WrittenTensor(name: name, shape: [1], floats: [1])]
        #expect(
            refusal(writer)
                == "/model.safetensors: tensor '\(name)' is a part of an adapter, which is not "
                + "supported; merge it into its model with PEFT's merge_and_unload() and save that")
    }

    @Test func readsAHeadOfItsOwn() throws {
        let untied = GPT2Configuration(
            vocabularySize: 11, contextLength: 8, hiddenSize: 12, layerCount: 2, headCount: 3,
            tieWordEmbeddings: false)
        var writer = ModelWriter(untied)
        writer.prefix = "transformer."
        var model = try open(writer)
        let head = try #require(writer.weights().last)
        #expect(model.shape(of: "lm_head.weight") == [11, 12])
        #expect(try whole("lm_head.weight", of: &model) == head.floats)
    }

    // MARK: - Digest

    @Test func digestDependsOnTheFloatsOnly() throws {
        var writer = ModelWriter(small)
        writer.isRounded = true
        let expected = try digest(writer)
        for dtype in ["F32", "F16", "BF16"] {
            for prefix in ["", "transformer."] {
                for shards in [1, 2, 5] {
                    writer.dtype = dtype
                    writer.prefix = prefix
                    writer.shards = shards
                    #expect(try digest(writer) == expected, "\(dtype) '\(prefix)' \(shards)")
                }
            }
        }
    }

    @Test func digestChangesWithAWeightASwitchAndAName() throws {
        let original = try digest(ModelWriter(small))
        var changed = ModelWriter(small)
        changed.alter = { $0[5].bytes[8] ^= 1 }
        #expect(try digest(changed) != original)
        var exchanged = ModelWriter(small)
        exchanged.alter = { tensors in
            // ln_1.weight and ln_1.bias have one shape.
            (tensors[2].bytes, tensors[3].bytes) = (tensors[3].bytes, tensors[2].bytes)
        }
        #expect(try digest(exchanged) != original)
        let heads = GPT2Configuration(
            vocabularySize: 11, contextLength: 8, hiddenSize: 12, layerCount: 2, headCount: 4)
        #expect(try digest(ModelWriter(heads)) != original)
    }

    /// Reading in order, backwards, partly or twice leaves the digest as it is.
    @Test(arguments: 0..<20 as Range<UInt64>)
    func digestDoesNotDependOnReading(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        let writer = ModelWriter(small)
        var model = try open(writer)
        for _ in 0..<60 {
            let names = ["wte.weight", "wpe.weight", "h.1.mlp.c_fc.weight", "ln_f.bias"]
            let name = names[Int.random(in: names.indices, using: &random)]
            let shape = try #require(model.shape(of: name))
            let rowCount = shape.count == 2 ? shape[0] : 1
            let first = Int.random(in: 0..<rowCount, using: &random)
            let end = Int.random(in: first...rowCount, using: &random)
            var floats = [Float](
                repeating: 0, count: (end - first) * (shape.last ?? 1))
            var span = floats.mutableSpan
            try model.read(name, rows: first..<end, into: &span)
        }
        #expect(try model.contentDigest().hexadecimal == digest(writer), "seed \(seed)")
    }

    // MARK: - Refusals

    @Test func listsWhatDoesNotFit() throws {
        var writer = ModelWriter(small)
        writer.alter = { tensors in
            tensors[0].shape = [12, 11]
            tensors[1].name = "wpe"
            tensors[2].dtype = "I32"
            tensors.removeLast()
            tensors.append(WrittenTensor(name: "h.2.ln_1.weight", shape: [1], floats: [0]))
        }
        #expect(
            refusal(writer)
                == "/model.safetensors: does not fit config.json: "
                + "wte.weight has shape [12, 11], expected [11, 12], "
                + "wpe.weight is missing, expected shape [8, 12], "
                + "h.0.ln_1.weight has dtype I32, expected F32, F16 or BF16, "
                + "ln_f.bias is missing, expected shape [12], "
                + "'h.2.ln_1.weight' is there, but n_layer is 2; "
                + "use the config.json that came with the weights")
        writer.alter = { $0.removeAll() }
        #expect(
            refusal(writer)?.contains(
                "h.0.attn.c_attn.weight is missing, expected shape [12, 36], and 23 more;") == true)
    }

    @Test func refusesATiedHeadThatDiffers() {
        var writer = ModelWriter(small)
        let sentence =
            "/model.safetensors: lm_head.weight differs from wte.weight although config.json ties "
            + "them; set tie_word_embeddings to false to use the head, or remove it from the file"
        writer.extras = [
            WrittenTensor(
                name: "lm_head.weight", shape: [11, 12], floats: Array(repeating: 1, count: 132))
        ]
        #expect(refusal(writer) == sentence)
        writer.extras = [WrittenTensor(name: "lm_head.weight", shape: [1], floats: [1])]
        #expect(refusal(writer) == sentence)
    }

    @Test func refusesATensorUnderBothNames() {
        var writer = ModelWriter(small)
        writer.extras = [WrittenTensor(name: "transformer.ln_f.bias", shape: [1], floats: [1])]
        #expect(
            refusal(writer)
                == "/model.safetensors: has tensor 'ln_f.bias' twice, under names with different "
                + "prefixes")
    }

    @Test func saysWhenAFileIsCutShortWhileItIsRead() throws {
        let directory = try TemporaryDirectory()
        try ModelWriter(small).write(to: directory)
        let opened = try ModelDirectory(path: directory.path)
        var model = try StoredModel(opened, configuration: opened.configuration())
        let file = safetensors([])
        // The same file, not a new one in its place.
        try directory.overwrite(file, in: "model.safetensors")
        let error = #expect(throws: ModelFileError.self) { try model.contentDigest() }
        #expect(error?.kind == .truncated)
        #expect(error?.problem.hasPrefix("ends at byte ") == true)
    }

    @Test(arguments: [
        (
            #"{"weight_map": {}}"#,
            "must hold an object weight_map from tensor names to file names"
        ),
        (#"{"weight_map": {"a": 1}}"#, "the file of tensor 'a' must be a string, found a number"),
        (
            #"{"weight_map": {"a": "../b.safetensors"}}"#,
            "the file of tensor 'a' must be the name of a .safetensors file in the same directory, "
                + "found '../b.safetensors'"
        ),
        (
            #"{"weight_map": {"a": "/tmp/b.safetensors"}}"#,
            "the file of tensor 'a' must be the name of a .safetensors file in the same directory, "
                + "found '/tmp/b.safetensors'"
        ),
        (
            #"{"weight_map": {"a": "b\u0000.safetensors"}}"#,
            "the file of tensor 'a' must be the name of a .safetensors file in the same directory, "
                + #"found 'b\0.safetensors'"#
        ),
        (#"{"weight_map""#, "is not valid JSON: the document ends inside a value, at byte 13"),
    ])
    func refusesAnIndex(text: String, sentence: String) throws {
        let directory = try TemporaryDirectory()
        try ModelWriter(small).write(to: directory)
        try directory.remove("model.safetensors")
        try directory.write(text, to: "model.safetensors.index.json")
        #expect(
            refusal(of: directory) == "/model.safetensors.index.json: \(sentence)")
    }

    @Test func refusesShardsThatAreNotWhatTheIndexSays() throws {
        var writer = ModelWriter(small)
        writer.shards = 2
        let directory = try TemporaryDirectory()
        try writer.write(to: directory)
        let twice = safetensors([WrittenTensor(name: "wte.weight", shape: [1], floats: [1])])
        try directory.write(twice, to: "model-2-of-2.safetensors")
        #expect(
            refusal(of: directory)
                == "/model-2-of-2.safetensors: has tensor 'wte.weight', which by the index is "
                + "in 'model-1-of-2.safetensors'; download all files of the model from one place")
        let unknown = safetensors([WrittenTensor(name: "x", shape: [1], floats: [1])])
        try directory.write(unknown, to: "model-2-of-2.safetensors")
        #expect(
            refusal(of: directory)
                == "/model-2-of-2.safetensors: has tensor 'x', which by the index is in no file; "
                + "download all files of the model from one place")
        try directory.remove("model-2-of-2.safetensors")
        #expect(refusal(of: directory) == "/model-2-of-2.safetensors: does not exist")
    }

    // MARK: - Steps

    private let small = GPT2Configuration(
        vocabularySize: 11, contextLength: 8, hiddenSize: 12, layerCount: 2, headCount: 3)

    private func open(_ writer: ModelWriter) throws -> StoredModel {
        let directory = try TemporaryDirectory()
        try writer.write(to: directory)
        // The files stay open when their names are gone.
        let opened = try ModelDirectory(path: directory.path)
        return try StoredModel(opened, configuration: opened.configuration())
    }

    private func digest(_ writer: ModelWriter) throws -> String {
        var model = try open(writer)
        return try model.contentDigest().hexadecimal
    }

    private func whole(_ name: String, of model: inout StoredModel) throws -> [Float] {
        let shape = try #require(model.shape(of: name))
        var floats = [Float](repeating: .nan, count: shape.reduce(1, *))
        var span = floats.mutableSpan
        try model.read(name, rows: 0..<(shape.count == 2 ? shape[0] : 1), into: &span)
        return floats
    }

    private func refusal(_ writer: ModelWriter) -> String? {
        guard let directory = try? TemporaryDirectory() else { return nil }
        try? writer.write(to: directory)
        return refusal(of: directory)
    }

    /// The error's sentence, the path of the directory left out.
    private func refusal(of directory: TemporaryDirectory) -> String? {
        let error = #expect(throws: ModelFileError.self) {
            let opened = try ModelDirectory(path: directory.path)
            _ = try StoredModel(opened, configuration: opened.configuration())
        }
        return error?.description.replacing(directory.path, with: "")
    }
}
