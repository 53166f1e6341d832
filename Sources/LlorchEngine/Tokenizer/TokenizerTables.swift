// Checks that a vocabulary is a byte-level BPE without gaps, and builds the tables of the tokenizer.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

struct TokenizerTables {
    let vocabulary: Vocabulary
    let encoding: BytePairEncoding
    /// Tokens that merging the bytes of the token really gives: a piece that is one needs no merging.
    let wholePieces: TokenTable
    let endOfText: TokenID?

    let addedTokens: AddedTokenMatcher

    init(_ parts: TokenizerParts) throws(TokenizerError) {
        let entries = try Self.entriesByID(parts)
        var vocabulary = Vocabulary()
        var endOfText: TokenID?
        // Plain and added tokens come from no merge, so only the others are found by their bytes.
        var byBytes = TokenTable(capacity: entries.count)
        var isSpelled = [Bool](repeating: false, count: entries.count)
        for (id, entry) in entries.enumerated() {
            let bytes: [UInt8]
            (bytes, isSpelled[id]) = try Self.bytes(of: entry, id, parts)
            vocabulary.append(bytes)
            if isSpelled[id], !byBytes.insert(id, of: vocabulary) {
                throw parts.invalid("token \(id)", "bytes of its own", "those of another token")
            }
            if bytes.elementsEqual(TokenizerSettings.endOfText.utf8) { endOfText = TokenID(id) }
        }
        let encoding = BytePairEncoding(
            merges: try Self.merges(parts, vocabulary, byBytes),
            byteTokens: try Self.byteTokens(parts, vocabulary, byBytes))
        self.vocabulary = vocabulary
        self.encoding = encoding
        self.endOfText = endOfText
        wholePieces = Self.wholePieces(isSpelled, vocabulary, encoding)
        addedTokens = Self.matcher(parts)
    }

    private static func byteTokens(
        _ parts: TokenizerParts, _ vocabulary: Vocabulary, _ byBytes: TokenTable
    ) throws(TokenizerError) -> [TokenID?] {
        try (UInt8.min...UInt8.max).map { byte throws(TokenizerError) in
            if let token = byBytes.token(of: [byte].span, in: vocabulary) { return token }
            guard parts.allowsGaps else {
                throw parts.invalid("tokens", "one for each of the 256 bytes", "none for \(byte)")
            }
            if let field = parts.unknownTokenField {
                throw parts.invalid(
                    field, "null where bytes have no token, as byte \(byte) here", "a token",
                    remedy: "transformers 4 puts it in the place of such a byte and transformers 5 "
                        + "leaves the byte out; set it to null to leave them out")
            }
            return nil
        }
    }

    private static func matcher(_ parts: TokenizerParts) -> AddedTokenMatcher {
        var matcher = AddedTokenMatcher()
        for (token, id, _) in parts.added {
            matcher.append(
                .init(
                    bytes: Array(token.content.utf8), id: TokenID(id), isSpecial: token.isSpecial,
                    stripsLeft: token.stripsLeft, stripsRight: token.stripsRight),
                isNormalized: token.isNormalized)
        }
        return matcher
    }

    private static func wholePieces(
        _ isSpelled: [Bool], _ vocabulary: Vocabulary, _ encoding: BytePairEncoding
    ) -> TokenTable {
        var wholePieces = TokenTable(capacity: isSpelled.count)
        var scratch = MergeScratch()
        var merged: [TokenID] = []
        for id in isSpelled.indices where isSpelled[id] {
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
        let bound = parts.tokens.count + parts.added.count { $0.isNew }
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
        for (index, token) in parts.added.enumerated() where token.isNew {
            try place(.added(index), at: token.id)
        }
        for id in 0..<count {
            guard case .absent = entries[id] else { continue }
            throw parts.invalid("token ids", "0 to \(count - 1) without holes", "none for \(id)")
        }
        return Array(entries[..<count])
    }

    /// The bytes of a token, and whether merges may make it.
    private static func bytes(
        of entry: Entry, _ id: Int, _ parts: TokenizerParts
    ) throws(TokenizerError) -> ([UInt8], isSpelled: Bool) {
        switch entry {
        case .absent: return ([], false)
        case .added(let index): return (Array(parts.added[index].token.content.utf8), false)
        case .spelled(let index):
            let (spelling, _, isPlain) = parts.tokens[index]
            if isPlain { return (Array(spelling.utf8), false) }
            var bytes: [UInt8] = []
            if parts.alphabet.append(spelling.utf8.span, to: &bytes), !bytes.isEmpty {
                return (bytes, true)
            }
            guard parts.allowsGaps, !spelling.isEmpty else {
                throw parts.invalid(
                    "token \(id)", "one or more characters of GPT-2's alphabet of bytes",
                    TokenizerParts.quoted(spelling))
            }
            return (Array(spelling.utf8), false)
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
