// Which added tokens a tokenizer has, and under which ids: what tokenizer.json lists, what the files beside it say,
// and the special tokens that have a role. transformers gives a token that is not in the vocabulary the next free id,
// whatever a file says; a file that says another one is refused.
// SPDX-License-Identifier: Apache-2.0

extension TokenizerParts {
    /// Gives every added token its id; tokens of the vocabulary are known already.
    ///
    /// - Parameters:
    ///   - json: the tokens of tokenizer.json, in the order of the file.
    ///   - settings: what the files beside it say.
    /// - Throws: where the files contradict each other or the vocabulary.
    mutating func resolveAddedTokens(
        json: [AddedToken], settings: TokenizerSettings
    ) throws(TokenizerError) {
        addsPrefixSpace = settings.addsPrefixSpace ?? false
        var tokens = try Self.union(json: json, settings: settings)
        var indexes: [[UInt8]: Int] = [:]
        for (index, token) in tokens.enumerated() { indexes[Array(token.content.utf8)] = index }
        for named in settings.named {
            if let index = indexes[Array(named.content.utf8)] {
                tokens[index].isSpecial = true
            } else {
                tokens.append(named)
            }
        }
        let ids = try place(tokens)
        try checkOrder(of: json, ids)
    }

    /// The tokens to which a file gives an id, ascending.
    private static func union(
        json: [AddedToken], settings: TokenizerSettings
    ) throws(TokenizerError) -> [AddedToken] {
        var tokens = settings.declared ?? json
        let others = settings.declared == nil ? settings.listed : json
        var known = Set(tokens.map { Array($0.content.utf8) })
        let named = Set(settings.named.map { Array($0.content.utf8) })
        for (var token) in others where !known.contains(Array(token.content.utf8)) {
            if settings.declared != nil {
                if named.contains(Array(token.content.utf8)) { continue }
                guard settings.isGeneral else {
                    throw .invalidFile(
                        file: token.file, field: token.field,
                        expected: "a token that added_tokens_decoder of tokenizer_config.json has",
                        found: quoted(token.content),
                        remedy: "transformers 4 takes this token and transformers 5 does not; "
                            + "make both files say the same")
                }
            } else if token.file != "tokenizer.json" {
                token.isSpecial = named.contains(Array(token.content.utf8))
                token.isNormalized = !token.isSpecial
            }
            known.insert(Array(token.content.utf8))
            tokens.append(token)
        }
        return tokens.enumerated().sorted { left, right in
            (left.element.id ?? 0, left.offset) < (right.element.id ?? 0, right.offset)
        }.map(\.element)
    }

    /// The ids of all contents.
    private mutating func place(
        _ tokens: [AddedToken]
    ) throws(TokenizerError) -> [[UInt8]: Int] {
        let contents = Set(tokens.map { Array($0.content.utf8) })
        var known: [[UInt8]: Int] = [:]
        for token in self.tokens {
            let spelling = Array(token.spelling.utf8)
            if contents.contains(spelling) { known[spelling] = token.id }
        }
        var next = self.tokens.count
        for token in tokens {
            let content = Array(token.content.utf8)
            let found = known[content]
            let id = found ?? next
            if let given = token.id, given != id {
                throw .invalidFile(
                    file: token.file, field: "\(token.field).id",
                    expected: found == nil
                        ? "\(id), the next id that is free" : "\(id), as in the vocabulary",
                    found: "\(given)", remedy: remedy)
            }
            guard id < Self.maximumTokens else {
                throw invalid("tokens", "at most \(Self.maximumTokens)", "more")
            }
            if found == nil {
                known[content] = id
                next += 1
            }
            added.append((token, id, found == nil))
        }
        return known
    }

    /// transformers 4 numbers new tokens in the order of tokenizer.json, transformers 5 in that of their ids.
    private func checkOrder(
        of json: [AddedToken], _ ids: [[UInt8]: Int]
    ) throws(TokenizerError) {
        var last = tokens.count - 1
        for token in json {
            let assigned = ids[Array(token.content.utf8)]
            if let assigned, let given = token.id, given != assigned {
                throw .invalidFile(
                    file: token.file, field: "\(token.field).id", expected: "\(assigned)",
                    found: "\(given)", remedy: remedy)
            }
            guard let id = token.id, id >= tokens.count else { continue }
            guard id > last else {
                throw .invalidFile(
                    file: token.file, field: "\(token.field).id", expected: "more than \(last)",
                    found: "\(id)", remedy: "list added tokens in the order of their ids")
            }
            last = id
        }
    }

    /// A line for each added token and for the prefix space; empty where they are GPT-2's own.
    var settingsText: String {
        guard allowsGaps else { return "" }
        var lines: [String] = addsPrefixSpace ? ["add_prefix_space"] : []
        for (token, id, isNew) in added {
            let isMark =
                token.content == TokenizerSettings.endOfText && !isNew && token.isSpecial
                && !token.stripsLeft && !token.stripsRight
            if isMark { continue }
            let flags = [
                token.isSpecial, token.stripsLeft, token.stripsRight, token.isNormalized,
            ].map { $0 ? "1" : "0" }
            lines.append(
                "\(id) \(flags.joined()) \(token.content.utf8.count) \(token.content)")
        }
        return lines.joined(separator: "\n")
    }
}
