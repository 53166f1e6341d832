// Reads config.json as transformers writes it. Every value is checked here, once; what the values
// mean: Model/GPT2Configuration.swift. generation_config.json beside it: GenerationFile.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON

extension GPT2Configuration {
    /// Reads the text of a `config.json`.
    ///
    /// - Parameters:
    ///   - bytes: the text.
    ///   - path: for messages.
    ///   - generation: text and path of the `generation_config.json` beside it, whose end marks count alone.
    /// - Throws: the first member that is missing, wrong or not supported.
    package init(
        parsing bytes: Span<UInt8>, path: String, generation: (bytes: [UInt8], path: String)? = nil
    ) throws(ModelFileError) {
        let value: JSONValue
        do {
            value = try StrictJSON.parse(
                bytes, limits: .file(maximumBytes: ConfigurationFile.maximumBytes))
        } catch {
            throw ModelFileError(.malformed, path: path, problem: "is not valid JSON: \(error)")
        }
        var generationFile: GenerationFile?
        if let generation {
            generationFile = try GenerationFile(
                parsing: generation.bytes.span, path: generation.path)
        }
        try self.init(parsing: value, path: path, generation: generationFile)
    }

    private init(
        parsing value: JSONValue, path: String, generation: GenerationFile?
    ) throws(ModelFileError) {
        guard let object = value.asObject else {
            throw ModelFileError(
                .malformed, path: path,
                problem: "must hold a JSON object, found \(value.kindName)")
        }
        let file = ConfigurationFile(path: path, object: object)
        try file.checkArchitecture()
        try GenerationFile(path: path, object: object).checkRules()
        try generation?.checkRules()
        try file.checkAliases()
        let vocabularySize = try file.size(["vocab_size"], in: Self.vocabularySizes)
        let contextLength = try file.size(
            ["n_positions", "max_position_embeddings", "n_ctx"], in: Self.contextLengths)
        let hiddenSize = try file.size(["n_embd", "hidden_size"], in: Self.hiddenSizes)
        let layerCount = try file.size(["n_layer", "num_hidden_layers"], in: Self.layerCounts)
        let headKeys = ["n_head", "num_attention_heads"]
        let headCount = try file.size(headKeys, in: Self.hiddenSizes)
        guard hiddenSize % headCount == 0 else {
            throw file.error(
                .inconsistent,
                "\(file.firstKey(of: headKeys)) must divide the hidden size "
                    + "\(hiddenSize), found \(headCount)")
        }
        let feedForwardSize =
            file["n_inner"] == nil ? nil : try file.size(["n_inner"], in: Self.feedForwardSizes)
        self.init(
            vocabularySize: vocabularySize, contextLength: contextLength, hiddenSize: hiddenSize,
            layerCount: layerCount, headCount: headCount, feedForwardSize: feedForwardSize,
            layerNormEpsilon: try file.epsilon(), activation: try file.activation(),
            tieWordEmbeddings: try file.flag("tie_word_embeddings", default: true),
            scaleAttentionWeights: try file.flag("scale_attn_weights", default: true),
            scaleAttentionByInverseLayerIndex: try file.flag(
                "scale_attn_by_inverse_layer_idx", default: false),
            endOfText: try file.endOfText(generation, vocabularySize: vocabularySize))
    }
}

/// The members of one `config.json`, with messages that name them.
private struct ConfigurationFile {
    static let maximumBytes = 1 << 20

    let path: String
    let object: JSONObject

    /// Nil for `null` too: transformers writes it for "the default".
    subscript(key: String) -> JSONValue? {
        guard let value = object[key], value != .null else { return nil }
        return value
    }

    func error(
        _ kind: ModelFileError.Kind, _ problem: String, remedy: String? = nil
    ) -> ModelFileError {
        ModelFileError(kind, path: path, problem: problem, remedy: remedy)
    }

    func checkArchitecture() throws(ModelFileError) {
        let onlyGPT2 = "this engine runs GPT-2 models only"
        guard let type = self["model_type"] else {
            throw error(.missing, "model_type is missing, expected 'gpt2'", remedy: onlyGPT2)
        }
        guard type.asString == "gpt2" else {
            throw error(
                .unsupported, "model_type must be 'gpt2', found \(ConfigurationText.of(type))",
                remedy: onlyGPT2)
        }
        if try flag("add_cross_attention", default: false) {
            throw error(
                .unsupported, "add_cross_attention must be false, found true",
                remedy: "the decoder of an encoder-decoder model does not run alone")
        }
        if self["quantization_config"] != nil {
            throw error(
                .unsupported, "quantization_config must be absent, but is there",
                remedy: "use the unquantized model; the worker quantizes while loading")
        }
    }

    /// A size has two names; transformers takes the one that stands last.
    func checkAliases() throws(ModelFileError) {
        for (name, alias) in [
            ("n_positions", "max_position_embeddings"), ("n_embd", "hidden_size"),
            ("n_layer", "num_hidden_layers"), ("n_head", "num_attention_heads"),
        ] {
            guard let first = self[name], let second = self[alias], first != second else {
                continue
            }
            throw error(
                .inconsistent,
                "\(name) and \(alias) are the same and must be equal, found "
                    + "\(ConfigurationText.of(first)) and \(ConfigurationText.of(second))",
                remedy: "remove one of them")
        }
    }

    /// The first of `keys` that is there.
    func firstKey(of keys: [String]) -> String {
        keys.first { self[$0] != nil } ?? keys[0]
    }

    func size(_ keys: [String], in range: ClosedRange<Int>) throws(ModelFileError) -> Int {
        let key = firstKey(of: keys)
        guard let value = self[key] else {
            throw error(
                .missing,
                "\(key) is missing, expected an integer from \(range.lowerBound) "
                    + "to \(range.upperBound)",
                remedy: "use the config.json that came with the weights")
        }
        guard let number = value.asNumber?.asInt64, let size = Int(exactly: number),
            range ~= size
        else {
            throw error(
                .malformed,
                "\(key) must be an integer from \(range.lowerBound) "
                    + "to \(range.upperBound), found \(ConfigurationText.of(value))")
        }
        return size
    }

    func flag(_ key: String, default absent: Bool) throws(ModelFileError) -> Bool {
        guard let value = self[key] else { return absent }
        guard let flag = value.asBool else {
            throw error(
                .malformed, "\(key) must be true or false, found \(ConfigurationText.of(value))")
        }
        return flag
    }

    func endOfText(
        _ generation: GenerationFile?, vocabularySize: Int
    ) throws(ModelFileError) -> [Int] {
        if let generation {
            return try generation.endOfText(vocabularySize: vocabularySize, absent: [])
        }
        // The default of transformers, which a small vocabulary does not have.
        return try GenerationFile(path: path, object: object).endOfText(
            vocabularySize: vocabularySize, absent: vocabularySize > 50_256 ? [50_256] : [])
    }

    func epsilon() throws(ModelFileError) -> Float {
        guard let value = self["layer_norm_epsilon"] else { return 1e-5 }
        let range = GPT2Configuration.layerNormEpsilons
        guard let epsilon = value.asNumber?.asFloat, range ~= epsilon else {
            throw error(
                .malformed,
                "layer_norm_epsilon must be a number from \(range.lowerBound) "
                    + "to \(range.upperBound), found \(ConfigurationText.of(value))")
        }
        return epsilon
    }

    func activation() throws(ModelFileError) -> Activation {
        guard let value = self["activation_function"] else { return .geluTanh }
        switch value.asString {
        // One function each, written in several ways.
        case "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_accurate": return .geluTanh
        case "gelu", "gelu_python": return .geluErf
        case "relu": return .relu
        default:
            throw error(
                .unsupported,
                "activation_function must be one of gelu_new, gelu_pytorch_tanh, "
                    + "gelu and relu, found \(ConfigurationText.of(value))")
        }
    }
}
