// The steps around the model in a tokenizer.json, and the model's own switches: each must be GPT-2's, or one that
// changes nothing. The vocabulary itself: TokenizerParts+parsing.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON

extension TokenizerParts {
    /// Checks normalizer, pre-tokenizer, post-processor and decoder.
    func checkSteps(
        _ members: JSONObject, settings: TokenizerSettings
    ) throws(TokenizerError) {
        try checkNormalizer(members["normalizer"] ?? .null)
        if let value = members["decoder"], value != .null {
            try checkIsByteLevel(object(value, "decoder"), "decoder")
        }
        try checkPostProcessor(members["post_processor"] ?? .null, "post_processor")
        try checkPreTokenizer(members["pre_tokenizer"], settings)
    }

    /// Nothing, or a sequence of nothing.
    private func checkNormalizer(_ value: JSONValue) throws(TokenizerError) {
        guard value != .null else { return }
        if let members = value.asObject, members["type"] == .string("Sequence"),
            members["normalizers"]?.asArray?.isEmpty == true
        {
            return
        }
        let type = value.asObject?["type"]?.asString
        throw invalid("normalizer", "null", type.map(Self.quoted) ?? value.kindName)
    }

    private func checkIsByteLevel(_ step: JSONObject, _ name: String) throws(TokenizerError) {
        guard step["type"] == .string("ByteLevel") else {
            throw invalid("\(name).type", "ByteLevel", Self.typeText(step))
        }
    }

    /// ByteLevel changes offsets only; a template may put texts in order, but no token beside them.
    private func checkPostProcessor(_ value: JSONValue, _ name: String) throws(TokenizerError) {
        guard value != .null else { return }
        let step = try object(value, name)
        switch step["type"]?.asString {
        case "ByteLevel": return
        case "Sequence":
            for (index, part) in (step["processors"]?.asArray ?? []).enumerated() {
                try checkPostProcessor(part, "\(name).processors[\(index)]")
            }
        case "TemplateProcessing":
            let single = step["single"]?.asArray ?? []
            guard single.count == 1, let only = single[0].asObject,
                only["Sequence"]?.asObject?["id"] == .string("A")
            else {
                throw invalid(
                    "\(name).single", "a template that is the text alone",
                    "one with \(single.count) parts",
                    remedy: "a template that adds tokens is not supported: put them into the "
                        + "prompt and ask for special tokens")
            }
        default:
            throw invalid(
                "\(name).type", "ByteLevel, or TemplateProcessing that adds nothing",
                Self.typeText(step))
        }
    }

    private func checkPreTokenizer(
        _ value: JSONValue?, _ settings: TokenizerSettings
    ) throws(TokenizerError) {
        guard let value else { throw invalid("pre_tokenizer", "an object", "nothing") }
        var step = try object(value, "pre_tokenizer")
        if step["type"] == .string("Sequence"), let parts = step["pretokenizers"]?.asArray,
            parts.count == 1
        {
            step = try object(parts[0], "pre_tokenizer.pretokenizers[0]")
        }
        try checkIsByteLevel(step, "pre_tokenizer")
        try check(step, "pre_tokenizer", "use_regex", allows: [.bool(true)], "true")
        try check(
            step, "pre_tokenizer", "add_prefix_space", allows: [.bool(false), .bool(true)],
            "true or false")
        let here = step["add_prefix_space"] != .bool(false)
        let beside = settings.addsPrefixSpace ?? false
        // GPT-2's class goes by tokenizer_config.json; the general one by the one or the other.
        guard here == beside || !here && !settings.isGeneral else {
            throw invalid(
                "pre_tokenizer.add_prefix_space", "\(beside), as in tokenizer_config.json",
                "\(here)",
                remedy: "versions of transformers do not agree on a directory whose files differ "
                    + "in it; make both say the same")
        }
    }

    func checkModel(_ model: JSONObject) throws(TokenizerError) {
        // Files written before `type` was come without it.
        try check(model, "model", "type", allows: [.string("BPE")], "BPE")
        if let dropout = model["dropout"]?.asNumber, dropout.asDouble == 0 {
            // Nothing is dropped.
        } else {
            try check(model, "model", "dropout", allows: [.null], "null")
        }
        for name in ["continuing_subword_prefix", "end_of_word_suffix"] {
            try check(model, "model", name, allows: [.null, .string("")], "an empty string")
        }
        for name in ["byte_fallback", "ignore_merges"] {
            try check(model, "model", name, allows: [.null, .bool(false)], "false")
        }
    }

    /// Where the member is there at all, it must be one of `allowed`.
    private func check(
        _ members: JSONObject, _ parent: String, _ name: String, allows allowed: [JSONValue],
        _ expected: String
    ) throws(TokenizerError) {
        guard let value = members[name], !allowed.contains(value) else { return }
        let found =
            switch value {
            case .bool(let flag): "\(flag)"
            case .string(let text): Self.quoted(text)
            case .number(let number): number.literal
            case .null, .array, .object: value.kindName
            }
        throw invalid("\(parent).\(name)", expected, found)
    }

    private static func typeText(_ step: JSONObject) -> String {
        step["type"]?.asString.map(quoted) ?? step["type"]?.kindName ?? "nothing"
    }
}
