// Reads config.json as transformers writes it. Every value is checked here, once; what the values
// mean: Model/GPT2Configuration.swift.
// SPDX-License-Identifier: Apache-2.0

package import LlorchJSON

extension GPT2Configuration {
    /// Reads the text of a `config.json`; `path` is for messages.
    package init(parsing bytes: Span<UInt8>, path: String) throws(ModelFileError) {
        let value: JSONValue
        do {
            value = try StrictJSON.parse(
                bytes, limits: .file(maximumBytes: ConfigurationFile.maximumBytes))
        } catch {
            throw ModelFileError(.malformed, path: path, problem: "is not valid JSON: \(error)")
        }
        try self.init(parsing: value, path: path)
    }

    package init(parsing value: JSONValue, path: String) throws(ModelFileError) {
        guard let object = value.asObject else {
            throw ModelFileError(
                .malformed, path: path,
                problem: "must hold a JSON object, found \(value.kindName)")
        }
        let file = ConfigurationFile(path: path, object: object)
        try file.checkArchitecture()
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
            endOfText: try file.endOfText(vocabularySize: vocabularySize))
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
                .unsupported, "model_type must be 'gpt2', found \(Self.text(of: type))",
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
                    + "to \(range.upperBound), found \(Self.text(of: value))")
        }
        return size
    }

    func flag(_ key: String, default absent: Bool) throws(ModelFileError) -> Bool {
        guard let value = self[key] else { return absent }
        guard let flag = value.asBool else {
            throw error(.malformed, "\(key) must be true or false, found \(Self.text(of: value))")
        }
        return flag
    }

    func epsilon() throws(ModelFileError) -> Float {
        guard let value = self["layer_norm_epsilon"] else { return 1e-5 }
        let range = GPT2Configuration.layerNormEpsilons
        guard let epsilon = value.asNumber?.asFloat, range ~= epsilon else {
            throw error(
                .malformed,
                "layer_norm_epsilon must be a number from \(range.lowerBound) "
                    + "to \(range.upperBound), found \(Self.text(of: value))")
        }
        return epsilon
    }

    func activation() throws(ModelFileError) -> Activation {
        guard let value = self["activation_function"] else { return .geluTanh }
        switch value.asString {
        case "gelu_new", "gelu_pytorch_tanh": return .geluTanh
        case "gelu": return .geluErf
        case "relu": return .relu
        default:
            throw error(
                .unsupported,
                "activation_function must be one of gelu_new, gelu_pytorch_tanh, "
                    + "gelu and relu, found \(Self.text(of: value))")
        }
    }

    func endOfText(vocabularySize: Int) throws(ModelFileError) -> [Int] {
        guard let value = object["eos_token_id"] else {
            // The default of transformers, which a small vocabulary does not have.
            return vocabularySize > 50_256 ? [50_256] : []
        }
        if value == .null { return [] }
        let elements = value.asArray ?? [value]
        guard elements.count <= GPT2Configuration.maximumEndOfTextCount else {
            throw error(
                .unsupported,
                "eos_token_id must have at most "
                    + "\(GPT2Configuration.maximumEndOfTextCount) ids, found \(elements.count)")
        }
        var ids: [Int] = []
        for element in elements {
            guard let number = element.asNumber?.asInt64, let id = Int(exactly: number),
                0..<vocabularySize ~= id
            else {
                throw error(
                    .malformed,
                    "eos_token_id must be below vocab_size \(vocabularySize) "
                        + "and not negative, found \(Self.text(of: element))")
            }
            if !ids.contains(id) { ids.append(id) }
        }
        return ids
    }

    private static func text(of value: JSONValue) -> String {
        switch value {
        case .string(let text): text.quotedForMessage
        case .number(let number): String(number.literal.prefix(40))
        case .bool(let flag): "\(flag)"
        default: value.kindName
        }
    }
}
