// What the files beside a vocabulary say of its tokenizer: tokenizer_config.json, special_tokens_map.json,
// added_tokens.json, and tokenizer_class of config.json. transformers 4 and 5 are the measure; where they differ, or
// where a setting is not supported, it is refused. Reading the files: TokenizerFiles.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON

/// Settings that change ids.
package struct TokenizerSettings: Sendable, Hashable {
    /// `added_tokens_decoder` of tokenizer_config.json, ascending by id; nil where it is not there.
    var declared: [AddedToken]?
    /// Of added_tokens.json, ascending by id.
    var listed: [AddedToken] = []
    /// The special tokens with a role, each content once, in the order in which transformers takes them.
    var named: [AddedToken]
    /// Whether a text that does not begin with a space gets one; nil where no file says so.
    var addsPrefixSpace: Bool?
    /// Whether the class is the general one, which takes everything from tokenizer.json.
    var isGeneral = false

    /// The settings of GPT-2's class without any file.
    package static let standard = TokenizerSettings(
        named: [AddedToken(special: endOfText, file: "GPT-2's tokenizer", field: "eos_token")])

    static let endOfText = "<|endoftext|>"
    private static let configurationFile = "tokenizer_config.json"
    private static let mapFile = "special_tokens_map.json"
    private static let addedFile = "added_tokens.json"
    private static let roles = [
        "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
    ]
    private static let lists = ["additional_special_tokens", "extra_special_tokens"]

    private var namedContents: Set<[UInt8]> = []

    private init(named: [AddedToken]) { self.named = named }

    /// - Parameters:
    ///   - configuration: tokenizer_config.json.
    ///   - map: special_tokens_map.json.
    ///   - added: added_tokens.json.
    ///   - model: config.json.
    /// - Throws: for a setting that is wrong or not supported.
    init(
        configuration: JSONObject, map: JSONObject, added: JSONObject, model: JSONObject
    ) throws(TokenizerError) {
        named = []
        isGeneral = try Self.isGeneral(configuration, model)
        try Self.checkSwitches(configuration)
        addsPrefixSpace = try Self.flag("add_prefix_space", configuration)
        declared = try Self.declared(configuration)
        // Beside added_tokens_decoder neither of the two older files is looked at.
        let map = declared == nil ? map : JSONObject()
        try appendNamed(configuration, map)
        if declared == nil { listed = try Self.listed(added) }
    }

    private static func invalid(
        _ file: String, _ field: String, _ expected: String, _ found: String,
        _ remedy: String = "use the tokenizer files that came with the model"
    ) -> TokenizerError {
        .invalidFile(file: file, field: field, expected: expected, found: found, remedy: remedy)
    }

    private static func isGeneral(
        _ configuration: JSONObject, _ model: JSONObject
    ) throws(TokenizerError) -> Bool {
        let field = "tokenizer_class"
        var file = configurationFile
        var value = configuration[field] ?? .null
        if value == .null {
            file = "config.json"
            value = model[field] ?? .null
        }
        if value == .null { return false }
        switch value.asString {
        case "GPT2Tokenizer", "GPT2TokenizerFast": return false
        case "PreTrainedTokenizerFast", "TokenizersBackend": return true
        default:
            throw invalid(
                file, field,
                "GPT2Tokenizer, GPT2TokenizerFast, PreTrainedTokenizerFast or TokenizersBackend",
                value.asString.map(TokenizerParts.quoted) ?? value.kindName,
                "other classes cut text or add tokens in ways of their own")
        }
    }

    private static func flag(
        _ name: String, _ members: JSONObject
    ) throws(TokenizerError) -> Bool? {
        guard let value = members[name], value != .null else { return nil }
        guard let flag = value.asBool else {
            throw invalid(configurationFile, name, "true or false", value.kindName)
        }
        return flag
    }

    /// Switches that change ids and are not supported.
    private static func checkSwitches(_ members: JSONObject) throws(TokenizerError) {
        for (name, remedy) in [
            ("add_bos_token", "put the token into the prompt and ask for special tokens"),
            ("add_eos_token", "put the token into the prompt and ask for special tokens"),
            ("split_special_tokens", "leave special tokens out of requests instead"),
        ] where try flag(name, members) == true {
            throw invalid(configurationFile, name, "false", "true", remedy)
        }
        let known = Set(roles)
        for (name, value) in members.members
        where name.hasSuffix("_token") && !known.contains(name) && value.asString != nil {
            throw invalid(
                configurationFile, name, "no special token under a name of its own",
                TokenizerParts.quoted(value.asString ?? ""),
                "transformers 4 leaves it out and transformers 5 adds it; list it under "
                    + "extra_special_tokens or remove it")
        }
    }

    private static func declared(
        _ members: JSONObject
    ) throws(TokenizerError) -> [AddedToken]? {
        let name = "added_tokens_decoder"
        guard let value = members[name], value != .null else { return nil }
        guard let tokens = value.asObject else {
            throw invalid(configurationFile, name, "an object", value.kindName)
        }
        return try tokens.members.map { key, value throws(TokenizerError) in
            let field = "\(name).\(TokenizerParts.quoted(key))"
            guard let id = Int(key), id >= 0, id < TokenizerParts.maximumTokens else {
                throw invalid(configurationFile, field, "an id as its key", "another text")
            }
            return try AddedToken(value, id: id, file: configurationFile, field: field)
        }.sorted { ($0.id ?? 0) < ($1.id ?? 0) }
    }

    private static func listed(_ added: JSONObject) throws(TokenizerError) -> [AddedToken] {
        try added.members.map { content, value throws(TokenizerError) in
            let field = "token \(TokenizerParts.quoted(content))"
            guard let id = value.asNumber?.asUInt64, id < TokenizerParts.maximumTokens else {
                throw invalid(addedFile, field, "an id", value.asNumber?.literal ?? value.kindName)
            }
            return try AddedToken(
                .string(content), id: Int(id), file: addedFile, field: field)
        }.sorted { ($0.id ?? 0) < ($1.id ?? 0) }
    }

    /// special_tokens_map.json wins over tokenizer_config.json; GPT-2's class has a mark where both are silent.
    private mutating func appendNamed(
        _ configuration: JSONObject, _ map: JSONObject
    ) throws(TokenizerError) {
        for role in Self.roles {
            let file = map[role] == nil ? Self.configurationFile : Self.mapFile
            if let value = map[role] ?? configuration[role] {
                // A token without text is none.
                if value == .null || value == .string("") { continue }
                appendNamed(
                    try AddedToken(value, id: nil, file: file, field: role, isSpecial: true))
            } else if !isGeneral, ["bos_token", "eos_token", "unk_token"].contains(role) {
                appendNamed(AddedToken(special: Self.endOfText, file: file, field: role))
            }
        }
        for (file, members) in [(Self.configurationFile, configuration), (Self.mapFile, map)] {
            for list in Self.lists {
                try appendNamed(list: members[list] ?? .null, file: file, field: list)
            }
        }
    }

    private mutating func appendNamed(
        list: JSONValue, file: String, field: String
    ) throws(TokenizerError) {
        let values: [JSONValue]
        switch list {
        case .null: return
        case .array(let elements): values = elements
        case .object(let members): values = members.members.map(\.value)
        default:
            throw Self.invalid(file, field, "an array or an object", list.kindName)
        }
        for (index, value) in values.enumerated() {
            appendNamed(
                try AddedToken(
                    value, id: nil, file: file, field: "\(field)[\(index)]", isSpecial: true))
        }
    }

    private mutating func appendNamed(_ token: AddedToken) {
        if namedContents.insert(Array(token.content.utf8)).inserted { named.append(token) }
    }
}
