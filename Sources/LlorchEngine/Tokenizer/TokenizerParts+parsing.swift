// Reads the two ways GPT-2 vocabularies are stored: vocab.json with merges.txt, and tokenizer.json.
// A tokenizer.json that differs from GPT-2's in any step is refused.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON

extension TokenizerParts {
    /// From `vocab.json` and `merges.txt`.
    init(vocabularyJSON: [UInt8], merges: [UInt8]) throws(TokenizerError) {
        self.init(file: "vocab.json", mergesFile: "merges.txt")
        let members = try object(document(vocabularyJSON), "document")
        try appendTokens(members, "document")
        try appendMerges(lines: merges)
    }

    /// From `tokenizer.json`.
    init(tokenizerJSON: [UInt8]) throws(TokenizerError) {
        self.init(file: "tokenizer.json", mergesFile: "tokenizer.json")
        let members = try object(document(tokenizerJSON), "document")
        try checkSteps(members)
        guard let value = members["model"] else {
            throw invalid("model", "an object", "nothing")
        }
        let model = try object(value, "model")
        try checkModel(model)
        guard let vocabulary = model["vocab"] else {
            throw invalid("model.vocab", "an object", "nothing")
        }
        try appendTokens(object(vocabulary, "model.vocab"), "model.vocab")
        try appendMerges(values: model["merges"])
        try appendAddedTokens(members["added_tokens"])
    }

    /// From lists in order of ids and of preference, merges as `a b`, as GGUF has them.
    ///
    /// Tokens of `plainIDs` are plain text.
    init(
        tokens: [String], plainIDs: Set<Int> = [], merges: [String], file: String,
        remedy: String? = nil
    ) throws(TokenizerError) {
        self.init(file: file, mergesFile: file)
        if let remedy { self.remedy = remedy }
        for (id, text) in tokens.enumerated() {
            if plainIDs.contains(id) {
                addedTokens.append((text, id))
            } else {
                self.tokens.append((text, id))
            }
        }
        for (index, merge) in merges.enumerated() {
            try appendMerge(line: merge.utf8.span, "merge \(index)")
        }
    }

    private func document(_ bytes: [UInt8]) throws(TokenizerError) -> JSONValue {
        do {
            let limits = StrictJSON.Limits.file(maximumBytes: TokenizerFiles.maximumBytes)
            return try StrictJSON.parse(bytes, limits: limits)
        } catch {
            throw invalid("document", "JSON", error.description)
        }
    }

    private func object(_ value: JSONValue, _ field: String) throws(TokenizerError) -> JSONObject {
        guard let object = value.asObject else {
            throw invalid(field, "an object", value.kindName)
        }
        return object
    }

    private func id(_ value: JSONValue?, _ field: String) throws(TokenizerError) -> Int {
        guard let id = value?.asNumber?.asUInt64, id < Self.maximumTokens else {
            throw invalid(
                field, "an integer from 0 to \(Self.maximumTokens - 1)",
                value?.asNumber?.literal ?? value?.kindName ?? "nothing")
        }
        return Int(id)
    }

    private mutating func appendTokens(
        _ members: JSONObject, _ field: String
    ) throws(TokenizerError) {
        tokens.reserveCapacity(members.count)
        for (spelling, value) in members.members {
            tokens.append((spelling, try id(value, "\(field): a token's id")))
        }
    }

    private mutating func appendMerges(lines bytes: [UInt8]) throws(TokenizerError) {
        let bytes = bytes.span
        var start = 0
        var number = 0
        while start < bytes.count {
            var end = start
            while end < bytes.count, bytes[end] != UInt8(ascii: "\n") { end += 1 }
            let next = end + 1
            if end > start, bytes[end - 1] == UInt8(ascii: "\r") { end -= 1 }
            number += 1
            let line = bytes.extracting(start..<end)
            if !line.isEmpty, number > 1 || !Self.isVersion(line) {
                try appendMerge(line: line, "line \(number)")
            }
            start = next
        }
    }

    /// `#version: 0.2`, the first line of most files.
    private static func isVersion(_ line: Span<UInt8>) -> Bool {
        let mark = Array("#version".utf8)
        return line.count >= mark.count && mark.indices.allSatisfy { line[$0] == mark[$0] }
    }

    private mutating func appendMerges(values: JSONValue?) throws(TokenizerError) {
        guard let merges = values?.asArray else {
            throw invalid("model.merges", "an array", values?.kindName ?? "nothing")
        }
        for (index, merge) in merges.enumerated() {
            if let text = merge.asString {
                try appendMerge(line: text.utf8.span, "model.merges[\(index)]")
            } else if let pair = merge.asArray, pair.count == 2, let left = pair[0].asString,
                let right = pair[1].asString
            {
                try appendMerge(left.utf8.span, right.utf8.span, "model.merges[\(index)]")
            } else {
                throw invalid(
                    "model.merges[\(index)]", "\"a b\" or [\"a\", \"b\"]", merge.kindName)
            }
        }
    }

    private mutating func appendMerge(
        line: Span<UInt8>, _ field: @autoclosure () -> String
    ) throws(TokenizerError) {
        let space = UInt8(ascii: " ")
        guard let middle = line.indices.first(where: { line[$0] == space }), middle > 0,
            middle + 1 < line.count,
            !(middle + 1..<line.count).contains(where: { line[$0] == space })
        else {
            throw invalid(
                field(), "two tokens with one space between them", "something else",
                file: mergesFile)
        }
        try appendMerge(line.extracting(..<middle), line.extracting((middle + 1)...), field())
    }

    private mutating func appendAddedTokens(_ value: JSONValue?) throws(TokenizerError) {
        guard let value, value != .null else { return }
        guard let added = value.asArray else {
            throw invalid("added_tokens", "an array", value.kindName)
        }
        for (index, token) in added.enumerated() {
            let field = "added_tokens[\(index)]"
            let members = try object(token, field)
            guard let content = members["content"]?.asString else {
                throw invalid(
                    "\(field).content", "a string", members["content"]?.kindName ?? "nothing")
            }
            addedTokens.append((content, try id(members["id"], "\(field).id")))
        }
    }

    /// The steps around the model, which must be GPT-2's or none.
    private func checkSteps(_ members: JSONObject) throws(TokenizerError) {
        if let normalizer = members["normalizer"], normalizer != .null {
            throw invalid("normalizer", "null", normalizer.kindName)
        }
        for name in ["post_processor", "decoder"] {
            guard let value = members[name], value != .null else { continue }
            try checkByteLevel(object(value, name), name)
        }
        guard let value = members["pre_tokenizer"] else {
            throw invalid("pre_tokenizer", "an object", "nothing")
        }
        let step = try object(value, "pre_tokenizer")
        try checkByteLevel(step, "pre_tokenizer")
        try check(step, "pre_tokenizer", "add_prefix_space", allows: [.bool(false)], "false")
        try check(step, "pre_tokenizer", "use_regex", allows: [.bool(true)], "true")
    }

    private func checkByteLevel(_ step: JSONObject, _ name: String) throws(TokenizerError) {
        guard let type = step["type"], type == .string("ByteLevel") else {
            throw invalid(
                "\(name).type", "ByteLevel",
                step["type"]?.asString ?? step["type"]?.kindName ?? "nothing")
        }
    }

    private func checkModel(_ model: JSONObject) throws(TokenizerError) {
        // Files written before `type` was come without it.
        try check(model, "model", "type", allows: [.string("BPE")], "BPE")
        try check(model, "model", "dropout", allows: [.null], "null")
        for name in ["continuing_subword_prefix", "end_of_word_suffix"] {
            try check(model, "model", name, allows: [.null, .string("")], "an empty string")
        }
        for name in ["byte_fallback", "ignore_merges"] {
            try check(model, "model", name, allows: [.bool(false)], "false")
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
}
