// What every vocabulary format comes down to, and the checks that make it a tokenizer.
// The formats themselves: TokenizerFiles.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

/// Tokens and merges as their file spells them, nothing checked yet.
struct TokenizerParts {
    /// For messages: where tokens and merges came from.
    var file: String
    var mergesFile: String
    /// Tokens in the alphabet of bytes.
    var tokens: [(spelling: String, id: Int)] = []
    /// Tokens as plain text; some repeat an entry of `tokens`.
    var addedTokens: [(content: String, id: Int)] = []
    /// In order of preference.
    var merges: [(left: Substring, right: Substring)] = []

    static let remedy =
        "use GPT-2's vocab.json and merges.txt, or a tokenizer.json made from them"

    /// Far above any GPT-2 vocabulary; keeps loading in bounds for a made-up file.
    static let maximumTokens = 1 << 20
}

/// The tables of a checked vocabulary.
struct TokenizerTables {
    var vocabulary = Vocabulary()
    var encoding: BytePairEncoding
    /// Tokens that merging the bytes of the token really gives: a piece that is one needs no merging.
    var wholePieces: TokenTable
    var endOfText: TokenID?

    init(_ parts: TokenizerParts) throws(TokenizerError) {
        let all = try Self.allTokens(parts)
        var byBytes = TokenTable(capacity: all.count)
        for (id, token) in all.enumerated() {
            vocabulary.append(token.bytes)
            if token.isSpelled, !byBytes.insert(id, of: vocabulary) {
                throw parts.invalid("token \(id)", "bytes of its own", "those of another token")
            }
            if token.bytes.elementsEqual("<|endoftext|>".utf8) {
                endOfText = TokenID(id)
            }
        }
        var byteTokens: [TokenID] = []
        for byte in UInt8.min...UInt8.max {
            guard let token = byBytes.token(of: [byte].span, in: vocabulary) else {
                throw parts.invalid("tokens", "one for each of the 256 bytes", "none for \(byte)")
            }
            byteTokens.append(token)
        }
        encoding = BytePairEncoding(
            merges: try Self.merges(parts, vocabulary, byBytes), byteTokens: byteTokens)

        wholePieces = TokenTable(capacity: all.count)
        var heap = MergeHeap()
        var merged: [TokenID] = []
        for (id, token) in all.enumerated() where token.isSpelled {
            merged.removeAll(keepingCapacity: true)
            encoding.append(token.bytes.span, to: &merged, scratch: &heap)
            if merged == [TokenID(id)] {
                _ = wholePieces.insert(id, of: vocabulary)
            }
        }
    }

    private struct Token {
        var bytes: [UInt8]
        /// In the alphabet of bytes, so that merges may give it; others are never the result of text.
        var isSpelled: Bool
    }

    /// Every token by id, without holes.
    private static func allTokens(_ parts: TokenizerParts) throws(TokenizerError) -> [Token] {
        let bound = parts.tokens.count + parts.addedTokens.count
        guard bound <= TokenizerParts.maximumTokens else {
            throw parts.invalid(
                "tokens", "at most \(TokenizerParts.maximumTokens)", "\(bound)")
        }
        var tokens = [Token?](repeating: nil, count: bound)
        for (spelling, id) in parts.tokens {
            var bytes: [UInt8] = []
            guard ByteAlphabet.append(spelling.unicodeScalars, to: &bytes), !bytes.isEmpty else {
                throw parts.invalid(
                    "token \(id)", "one or more characters of GPT-2's alphabet of bytes",
                    quoted(spelling))
            }
            try place(Token(bytes: bytes, isSpelled: true), at: id, in: &tokens, parts)
        }
        for (content, id) in parts.addedTokens {
            if tokens.indices.contains(id), let known = tokens[id] {
                guard known.bytes.elementsEqual(content.utf8) else {
                    throw parts.invalid(
                        "added token \(id)", "the content the vocabulary has", quoted(content))
                }
                continue
            }
            let token = Token(bytes: Array(content.utf8), isSpelled: false)
            try place(token, at: id, in: &tokens, parts)
        }
        let count = (tokens.lastIndex { $0 != nil } ?? -1) + 1
        var all: [Token] = []
        all.reserveCapacity(count)
        for id in 0..<count {
            guard let token = tokens[id] else {
                throw parts.invalid(
                    "token ids", "0 to \(count - 1) without holes", "none for \(id)")
            }
            all.append(token)
        }
        return all
    }

    private static func place(
        _ token: Token, at id: Int, in tokens: inout [Token?], _ parts: TokenizerParts
    ) throws(TokenizerError) {
        guard tokens.indices.contains(id) else {
            throw parts.invalid("token ids", "0 to \(tokens.count - 1) without holes", "\(id)")
        }
        guard tokens[id] == nil else {
            throw parts.invalid("token ids", "one token for each", "two for \(id)")
        }
        tokens[id] = token
    }

    private static func merges(
        _ parts: TokenizerParts, _ vocabulary: Vocabulary, _ byBytes: TokenTable
    ) throws(TokenizerError) -> MergeTable {
        guard parts.merges.count <= TokenizerParts.maximumTokens else {
            throw parts.invalid(
                "merges", "at most \(TokenizerParts.maximumTokens)", "\(parts.merges.count)",
                file: parts.mergesFile)
        }
        var table = MergeTable(capacity: parts.merges.count)
        var bytes: [UInt8] = []
        for (index, merge) in parts.merges.enumerated() {
            bytes.removeAll(keepingCapacity: true)
            let spelled = ByteAlphabet.append(merge.left.unicodeScalars, to: &bytes)
            let middle = bytes.count
            guard spelled, ByteAlphabet.append(merge.right.unicodeScalars, to: &bytes),
                let left = byBytes.token(of: bytes.span.extracting(..<middle), in: vocabulary),
                let right = byBytes.token(of: bytes.span.extracting(middle...), in: vocabulary),
                let result = byBytes.token(of: bytes.span, in: vocabulary)
            else {
                throw parts.invalid(
                    "merge \(index)", "two tokens of the vocabulary that make a third",
                    quoted("\(merge.left) \(merge.right)"), file: parts.mergesFile)
            }
            guard table.append(left: left, right: right, result: result) else {
                throw parts.invalid(
                    "merge \(index)", "a pair that was not before it",
                    quoted("\(merge.left) \(merge.right)"), file: parts.mergesFile)
            }
        }
        return table
    }

    /// Text of a file for a message, cut to a bearable length.
    private static func quoted(_ text: String) -> String {
        "\"\(text.prefix(40))\""
    }
}

extension TokenizerParts {
    func invalid(
        _ field: String, _ expected: String, _ found: String, file: String? = nil
    ) -> TokenizerError {
        .invalidFile(
            file: file ?? self.file, field: field, expected: expected, found: found,
            remedy: Self.remedy)
    }
}
