// Reads the two ways GPT-2 vocabularies are stored: vocab.json with merges.txt, and tokenizer.json.
// The steps of a tokenizer.json: TokenizerSteps.swift; added tokens: TokenizerParts+added.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON

extension TokenizerParts {
    /// From `vocab.json` and `merges.txt`.
    init(
        vocabularyJSON: [UInt8], merges: [UInt8], settings: TokenizerSettings
    ) throws(TokenizerError) {
        self.init(file: "vocab.json", mergesFile: "merges.txt")
        allowsGaps = true
        guard !settings.isGeneral else {
            throw .invalidFile(
                file: "tokenizer_config.json", field: "tokenizer_class",
                expected: "GPT2Tokenizer beside vocab.json and merges.txt",
                found: "a class that needs tokenizer.json",
                remedy: "copy the model's tokenizer.json there")
        }
        let members = try object(document(vocabularyJSON), "document")
        try appendTokens(members, "document")
        try appendMerges(lines: merges)
        try resolveAddedTokens(json: [], settings: settings)
    }

    /// From `tokenizer.json`.
    init(tokenizerJSON: [UInt8], settings: TokenizerSettings) throws(TokenizerError) {
        self.init(file: "tokenizer.json", mergesFile: "tokenizer.json")
        allowsGaps = true
        let members = try object(document(tokenizerJSON), "document")
        try checkSteps(members, settings: settings)
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
        if let token = model["unk_token"], token != .null { unknownTokenField = "model.unk_token" }
        let json = try addedTokens(members["added_tokens"])
        try resolveAddedTokens(json: json, settings: settings)
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
        let mark = TokenizerSettings.endOfText
        for (id, text) in tokens.enumerated() {
            self.tokens.append((text, id, plainIDs.contains(id)))
            if text == mark {
                added.append(
                    (AddedToken(special: text, file: file, field: "token \(id)"), id, false))
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

    func object(_ value: JSONValue, _ field: String) throws(TokenizerError) -> JSONObject {
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
            tokens.append((spelling, try id(value, "\(field): a token's id"), false))
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

    private func addedTokens(_ value: JSONValue?) throws(TokenizerError) -> [AddedToken] {
        guard let value, value != .null else { return [] }
        guard let added = value.asArray else {
            throw invalid("added_tokens", "an array", value.kindName)
        }
        return try added.enumerated().map { index, token throws(TokenizerError) in
            let field = "added_tokens[\(index)]"
            let members = try object(token, field)
            return try AddedToken(
                token, id: id(members["id"], "\(field).id"), file: file, field: field)
        }
    }
}
