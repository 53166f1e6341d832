// What generation_config.json, and config.json in files of older versions, say of how a model's text goes on. The end
// marks are obeyed; how a token is drawn is the request's; anything else that would change which tokens come is
// refused. Sizes and switches: ConfigurationFile.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON

/// The members of one file that steer generation.
struct GenerationFile {
    let path: String
    let object: JSONObject

    init(path: String, object: JSONObject) {
        self.path = path
        self.object = object
    }

    init(parsing bytes: Span<UInt8>, path: String) throws(ModelFileError) {
        let value: JSONValue
        do {
            value = try StrictJSON.parse(bytes, limits: .file(maximumBytes: 1 << 20))
        } catch {
            throw ModelFileError(.malformed, path: path, problem: "is not valid JSON: \(error)")
        }
        guard let object = value.asObject else {
            throw ModelFileError(
                .malformed, path: path,
                problem: "must hold a JSON object, found \(value.kindName)")
        }
        self.init(path: path, object: object)
    }

    /// Numbers that change greedy text, with the value that changes nothing.
    private static let neutral: [(name: String, value: Double)] = [
        ("no_repeat_ngram_size", 0), ("encoder_no_repeat_ngram_size", 0), ("min_length", 0),
        ("min_new_tokens", 0), ("repetition_penalty", 1), ("encoder_repetition_penalty", 1),
        ("num_beams", 1), ("penalty_alpha", 0), ("guidance_scale", 1),
    ]
    /// Rules about single tokens, which must be absent or empty.
    private static let rules = [
        "suppress_tokens", "begin_suppress_tokens", "bad_words_ids", "force_words_ids",
        "sequence_bias", "constraints", "forced_bos_token_id", "forced_eos_token_id",
        "forced_decoder_ids", "stop_strings", "exponential_decay_length_penalty",
        "watermarking_config",
    ]

    /// Refuses what would change an answer.
    func checkRules() throws(ModelFileError) {
        for (name, neutral) in Self.neutral {
            guard let value = object[name], value != .null else { continue }
            guard value.asNumber?.asDouble == neutral else {
                throw ModelFileError(
                    .unsupported, path: path,
                    problem: "\(name) must be absent or \(Int(neutral)), found "
                        + ConfigurationText.of(value),
                    remedy: name == "repetition_penalty"
                        ? "remove it and give it in each request"
                        : "remove it; the worker does not do this")
            }
        }
        for name in Self.rules {
            guard let value = object[name], value != .null else { continue }
            if value.asArray?.isEmpty == true || value.asObject?.count == 0 { continue }
            throw ModelFileError(
                .unsupported, path: path,
                problem: "\(name) must be absent or empty, found \(ConfigurationText.of(value))",
                remedy: "remove it; the worker does not do this")
        }
    }

    /// Ids that end a text; an id that the vocabulary does not have can never come and is left out.
    ///
    /// - Parameters:
    ///   - vocabularySize: rows of the token table.
    ///   - absent: the ids where the file has no such member.
    /// - Throws: for what is neither an id nor a list of ids.
    /// - Returns: each id once, in the order of the file.
    func endOfText(vocabularySize: Int, absent: [Int]) throws(ModelFileError) -> [Int] {
        guard let value = object["eos_token_id"] else { return absent }
        if value == .null { return [] }
        let elements = value.asArray ?? [value]
        guard elements.count <= GPT2Configuration.maximumEndOfTextCount else {
            throw ModelFileError(
                .unsupported, path: path,
                problem: "eos_token_id must have at most "
                    + "\(GPT2Configuration.maximumEndOfTextCount) ids, found \(elements.count)")
        }
        var ids: [Int] = []
        for element in elements {
            guard let literal = element.asNumber?.literal,
                literal.utf8.allSatisfy({ $0 != UInt8(ascii: ".") && $0 | 0x20 != 0x65 })
            else {
                throw ModelFileError(
                    .malformed, path: path,
                    problem: "eos_token_id must be an id or a list of ids, found "
                        + ConfigurationText.of(element))
            }
            guard let id = Int(literal), 0..<vocabularySize ~= id else { continue }
            if !ids.contains(id) { ids.append(id) }
        }
        return ids
    }
}

/// Values of configuration files inside messages.
enum ConfigurationText {
    static func of(_ value: JSONValue) -> String {
        switch value {
        case .string(let text): text.quotedForMessage
        case .number(let number): String(number.literal.prefix(40))
        case .bool(let flag): "\(flag)"
        default: value.kindName
        }
    }
}
