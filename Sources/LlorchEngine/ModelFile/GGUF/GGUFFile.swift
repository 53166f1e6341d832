// One .gguf file, open and with a checked header, and the configuration of the GPT-2 in it. Its weights: GGUFModel.swift;
// its vocabulary: GGUFVocabulary.swift. The counterpart of ModelDirectory.swift.
// SPDX-License-Identifier: Apache-2.0

/// A model in a single file, tokenizer included.
package struct GGUFFile: Sendable {
    package let file: ModelFile
    package let header: GGUFHeader

    package var path: String { file.path }

    /// The last component of the path without the extension.
    package var name: String {
        let last = path.split(separator: "/").last.map(String.init) ?? path
        return last.count > 5 && last.hasSuffix(".gguf") ? String(last.dropLast(5)) : last
    }

    static let convertAgain = "convert the model again with llama.cpp's convert_hf_to_gguf.py"
    static let quantizeAgain =
        "make another from its F32 or F16 file: llama-quantize --pure FILE NEW_FILE q8_0"
    /// For messages.
    static var readableNames: String {
        let names = StoredFormat.allCases.map(\.name)
        return names.dropLast().joined(separator: ", ") + " or " + (names.last ?? "")
    }

    package init(path: String) throws(ModelFileError) {
        let file = try ModelFile(path: path)
        let prefix = try file.bytes(at: 0, count: min(file.size, 8))
        guard GGUFHeader.isGGUF(prefix.span) else {
            if let mistaken = MistakenFile(prefix: prefix.span) { throw mistaken.error(path: path) }
            throw ModelFileError(
                .unsupported, path: path, problem: "is a file, but no GGUF file",
                remedy: "name a GGUF file, or the directory that holds config.json and "
                    + "model.safetensors")
        }
        self.file = file
        header = try GGUFHeader(of: file)
    }

    /// What the metadata and the shape of the token table say.
    package func configuration() throws(ModelFileError) -> GPT2Configuration {
        try checkArchitecture()
        let hiddenSize = try size("gpt2.embedding_length", in: GPT2Configuration.hiddenSizes)
        let headCountKey = "gpt2.attention.head_count"
        let headCount = try size(headCountKey, in: GPT2Configuration.hiddenSizes)
        guard hiddenSize % headCount == 0 else {
            throw error(
                .inconsistent,
                "\(headCountKey) must divide gpt2.embedding_length \(hiddenSize), found \(headCount)"
            )
        }
        let sharedHeadCount = try metadata.integer("gpt2.attention.head_count_kv") ?? headCount
        guard sharedHeadCount == headCount else {
            throw error(
                .unsupported,
                "gpt2.attention.head_count_kv must be \(headCount) as \(headCountKey) is, "
                    + "found \(sharedHeadCount)", remedy: "GPT-2 has as many of both")
        }
        try checkAttention(headSize: hiddenSize / headCount)
        let feedForwardKey = "gpt2.feed_forward_length"
        let vocabularySize = try vocabularySize()
        return GPT2Configuration(
            vocabularySize: vocabularySize,
            contextLength: try size("gpt2.context_length", in: GPT2Configuration.contextLengths),
            hiddenSize: hiddenSize,
            layerCount: try size("gpt2.block_count", in: GPT2Configuration.layerCounts),
            headCount: headCount,
            feedForwardSize: try metadata.has(feedForwardKey)
                ? size(feedForwardKey, in: GPT2Configuration.feedForwardSizes) : nil,
            layerNormEpsilon: try epsilon(),
            tieWordEmbeddings: try !hasHeadOfItsOwn(),
            endOfText: try marks(rowCount: vocabularySize).ends)
    }

    func tensor(named name: String) -> GGUFHeader.Tensor? {
        header.tensors.first { $0.name == name }
    }

    // MARK: - Metadata

    var metadata: GGUFMetadata { header.metadata }

    func error(
        _ kind: ModelFileError.Kind, _ problem: String, remedy: String? = nil
    ) -> ModelFileError {
        ModelFileError(kind, path: path, problem: problem, remedy: remedy)
    }

    private func checkArchitecture() throws(ModelFileError) {
        let onlyGPT2 = "this engine runs GPT-2 models only"
        guard let architecture = try metadata.text("general.architecture") else {
            throw error(
                .missing, "general.architecture is missing, expected 'gpt2'", remedy: onlyGPT2)
        }
        guard architecture == "gpt2" else {
            throw error(
                .unsupported,
                "general.architecture must be 'gpt2', found \(architecture.quotedForMessage)",
                remedy: onlyGPT2)
        }
        if let type = try metadata.text("general.type"), type != "model" {
            throw error(
                .unsupported, "general.type must be 'model', found \(type.quotedForMessage)",
                remedy: "name the file of the model itself")
        }
        if let count = try metadata.integer("split.count"), count > 1 {
            throw error(
                .unsupported, "is one of \(count) parts of a model",
                remedy: "join them: llama-gguf-split --merge FIRST_PART NEW_FILE")
        }
        let quantizationKey = "general.quantization_version"
        if let version = try metadata.integer(quantizationKey), version != 2,
            header.tensors.contains(where: \.type.isQuantized)
        {
            throw error(
                .unsupported, "\(quantizationKey) must be 2, found \(version)",
                remedy: Self.quantizeAgain)
        }
    }

    /// Keys that other architectures have and that would change what is computed.
    private func checkAttention(headSize: Int) throws(ModelFileError) {
        for key in ["gpt2.attention.key_length", "gpt2.attention.value_length"] {
            guard let length = try metadata.integer(key), length != headSize else { continue }
            throw error(
                .unsupported, "\(key) must be \(headSize), found \(length)",
                remedy: "the width of a head of GPT-2 is gpt2.embedding_length divided by "
                    + "gpt2.attention.head_count")
        }
        let key = "gpt2.attention.causal"
        guard try metadata.flag(key) != false else {
            throw error(
                .unsupported, "\(key) must be true, found false",
                remedy: "the model reads a text in both directions, so that it cannot continue one")
        }
    }

    private func size(
        _ key: String, in range: ClosedRange<Int>
    ) throws(ModelFileError) -> Int {
        let expected = "an integer from \(range.lowerBound) to \(range.upperBound)"
        guard let size = try metadata.integer(key) else {
            throw error(
                .missing, "\(key) is missing, expected \(expected)", remedy: Self.convertAgain)
        }
        guard range ~= size else {
            throw error(.malformed, "\(key) must be \(expected), found \(size)")
        }
        return size
    }

    /// Required, as in llama.cpp: a guess would change every answer a little.
    private func epsilon() throws(ModelFileError) -> Float {
        let key = "gpt2.attention.layer_norm_epsilon"
        let range = GPT2Configuration.layerNormEpsilons
        let expected = "a number from \(range.lowerBound) to \(range.upperBound)"
        guard let epsilon = try metadata.float(key) else {
            throw error(
                .missing, "\(key) is missing, expected \(expected)", remedy: Self.convertAgain)
        }
        guard range ~= epsilon else {
            throw error(.malformed, "\(key) must be \(expected), found \(epsilon)")
        }
        return epsilon
    }

    /// Rows of the token table; the metadata need not have it.
    private func vocabularySize() throws(ModelFileError) -> Int {
        let table = "token_embd.weight"
        guard let tensor = tensor(named: table) else {
            throw error(
                .missing, "tensor \(table) is missing",
                remedy: "name a file with weights, not one of a vocabulary")
        }
        let range = GPT2Configuration.vocabularySizes
        guard tensor.shape.count == 2, range ~= tensor.shape[0] else {
            throw error(
                .malformed,
                "\(table) has shape \(tensor.shape), expected \(range.lowerBound) "
                    + "to \(range.upperBound) rows")
        }
        let key = "gpt2.vocab_size"
        if let size = try metadata.integer(key), size != tensor.shape[0] {
            throw error(
                .inconsistent, "\(key) is \(size), but \(table) has \(tensor.shape[0]) rows")
        }
        return tensor.shape[0]
    }

    /// Whether the head differs from the token table.
    ///
    /// Older converters wrote the table once more as `output.weight`. Stops at the first difference.
    private func hasHeadOfItsOwn() throws(ModelFileError) -> Bool {
        guard let head = tensor(named: "output.weight"),
            let table = tensor(named: "token_embd.weight")
        else { return false }
        guard head.type == table.type, head.shape == table.shape else { return true }
        let step = 1 << 20
        for offset in stride(from: 0, to: head.range.count, by: step) {
            let count = min(step, head.range.count - offset)
            let headBytes = try file.bytes(at: head.range.lowerBound + offset, count: count)
            let tableBytes = try file.bytes(at: table.range.lowerBound + offset, count: count)
            if headBytes != tableBytes { return true }
        }
        return false
    }
}
