// Checks that a vocabulary is a byte-level BPE without gaps, and builds the tables of the tokenizer.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

struct TokenizerTables {
    let vocabulary: Vocabulary
    let encoding: BytePairEncoding
    /// Tokens that merging the bytes of the token really gives: a piece that is one needs no merging.
    let wholePieces: TokenTable
    let endOfText: TokenID?

    init(_ parts: TokenizerParts) throws(TokenizerError) {
        let entries = try Self.entriesByID(parts)
        var vocabulary = Vocabulary()
        var endOfText: TokenID?
        // Added tokens come from no text and no merge, so only the others are found by their bytes.
        var byBytes = TokenTable(capacity: entries.count)
        for (id, entry) in entries.enumerated() {
            let bytes = try Self.bytes(of: entry, id, parts)
            vocabulary.append(bytes)
            if case .spelled = entry, !byBytes.insert(id, of: vocabulary) {
                throw parts.invalid("token \(id)", "bytes of its own", "those of another token")
            }
            if bytes.elementsEqual("<|endoftext|>".utf8) { endOfText = TokenID(id) }
        }
        var byteTokens: [TokenID] = []
        for byte in UInt8.min...UInt8.max {
            guard let token = byBytes.token(of: [byte].span, in: vocabulary) else {
                throw parts.invalid("tokens", "one for each of the 256 bytes", "none for \(byte)")
            }
            byteTokens.append(token)
        }
        let encoding = BytePairEncoding(
            merges: try Self.merges(parts, vocabulary, byBytes), byteTokens: byteTokens)
        self.vocabulary = vocabulary
        self.encoding = encoding
        self.endOfText = endOfText
        wholePieces = Self.wholePieces(entries, vocabulary, encoding)
    }

    private static func wholePieces(
        _ entries: [Entry], _ vocabulary: Vocabulary, _ encoding: BytePairEncoding
    ) -> TokenTable {
        var wholePieces = TokenTable(capacity: entries.count)
        var scratch = MergeScratch()
        var merged: [TokenID] = []
        for (id, entry) in entries.enumerated() {
            guard case .spelled = entry else { continue }
            merged.removeAll(keepingCapacity: true)
            let bytes = vocabulary.bytes.span.extracting(vocabulary.range(of: id))
            encoding.append(bytes, to: &merged, scratch: &scratch)
            if merged.count == 1, merged.first == TokenID(id) {
                // Bytes are unique: those of an earlier token were refused.
                _ = wholePieces.insert(id, of: vocabulary)
            }
        }
        return wholePieces
    }

    /// Where a token stands in the parts.
    private enum Entry {
        case absent
        case spelled(Int)
        case added(Int)
    }

    /// Every token by id, without holes.
    private static func entriesByID(_ parts: TokenizerParts) throws(TokenizerError) -> [Entry] {
        let bound = parts.tokens.count + parts.addedTokens.count
        guard bound <= TokenizerParts.maximumTokens else {
            throw parts.invalid("tokens", "at most \(TokenizerParts.maximumTokens)", "\(bound)")
        }
        var entries = [Entry](repeating: .absent, count: bound)
        var count = 0
        func place(_ entry: Entry, at id: Int) throws(TokenizerError) {
            guard entries.indices.contains(id) else {
                throw parts.invalid("token ids", "0 to \(bound - 1) without holes", "\(id)")
            }
            guard case .absent = entries[id] else {
                throw parts.invalid("token ids", "one token for each", "two for \(id)")
            }
            entries[id] = entry
            count = max(count, id + 1)
        }
        for (index, token) in parts.tokens.enumerated() {
            try place(.spelled(index), at: token.id)
        }
        for (index, token) in parts.addedTokens.enumerated() {
            if entries.indices.contains(token.id), case .spelled(let known) = entries[token.id] {
                let spelled = try bytes(of: .spelled(known), token.id, parts)
                guard spelled.elementsEqual(token.content.utf8) else {
                    throw parts.invalid(
                        "added token \(token.id)", "the content the vocabulary has",
                        TokenizerParts.quoted(token.content))
                }
            } else {
                try place(.added(index), at: token.id)
            }
        }
        for id in 0..<count {
            guard case .absent = entries[id] else { continue }
            throw parts.invalid("token ids", "0 to \(count - 1) without holes", "none for \(id)")
        }
        return Array(entries[..<count])
    }

    private static func bytes(
        of entry: Entry, _ id: Int, _ parts: TokenizerParts
    ) throws(TokenizerError) -> [UInt8] {
        switch entry {
        case .absent: return []
        case .added(let index): return Array(parts.addedTokens[index].content.utf8)
        case .spelled(let index):
            let spelling = parts.tokens[index].spelling
            var bytes: [UInt8] = []
            guard parts.alphabet.append(spelling.utf8.span, to: &bytes), !bytes.isEmpty else {
                throw parts.invalid(
                    "token \(id)", "one or more characters of GPT-2's alphabet of bytes",
                    TokenizerParts.quoted(spelling))
            }
            return bytes
        }
    }

    private static func merges(
        _ parts: TokenizerParts, _ vocabulary: Vocabulary, _ byBytes: TokenTable
    ) throws(TokenizerError) -> MergeTable {
        var table = MergeTable(capacity: parts.merges.count)
        for index in 0..<parts.merges.count {
            let bytes = parts.merges.bytes.span.extracting(parts.merges.range(of: index))
            let leftCount = Int(parts.leftCounts[index])
            guard let left = byBytes.token(of: bytes.extracting(..<leftCount), in: vocabulary),
                let right = byBytes.token(of: bytes.extracting(leftCount...), in: vocabulary),
                let result = byBytes.token(of: bytes, in: vocabulary)
            else {
                throw parts.invalid(
                    "merge \(index)", "two tokens of the vocabulary that make a third",
                    "others", file: parts.mergesFile)
            }
            guard table.append(left: left, right: right, result: result) else {
                throw parts.invalid(
                    "merge \(index)", "a pair of its own", "that of an earlier merge",
                    file: parts.mergesFile)
            }
        }
        return table
    }
}
