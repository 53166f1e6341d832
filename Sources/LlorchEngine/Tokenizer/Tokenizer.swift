// GPT-2's byte-level byte-pair encoding: text to token ids and back.
// The steps: PreTokenizer.swift, BytePairEncoding.swift; pieces of a running answer:
// StreamingDetokenizer.swift; added tokens in a text: TokenFinder.swift. Special tokens in a text are ordinary
// text unless its reader asks for them.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

/// A checked vocabulary; copies share their storage.
package struct Tokenizer: Sendable {
    private let vocabulary: Vocabulary
    private let encoding: BytePairEncoding
    private let wholePieces: TokenTable
    private let preTokenizer = PreTokenizer()
    /// The id of `<|endoftext|>`; nil where the vocabulary has none.
    package let endOfText: TokenID?
    /// The number of tokens of the vocabulary itself; ids from here on are added tokens.
    package let unaddedCount: Int
    private let finder: TokenFinder
    private let addsPrefixSpace: Bool
    /// What a digest takes of added tokens and settings; empty where they are GPT-2's own.
    private let settingsText: String

    /// From the contents of `vocab.json` and `merges.txt`.
    package init(
        vocabularyJSON: [UInt8], merges: [UInt8], settings: TokenizerSettings = .standard
    ) throws(TokenizerError) {
        try self.init(
            TokenizerParts(vocabularyJSON: vocabularyJSON, merges: merges, settings: settings))
    }

    /// From the contents of a `tokenizer.json` that does what GPT-2 does.
    package init(
        tokenizerJSON: [UInt8], settings: TokenizerSettings = .standard
    ) throws(TokenizerError) {
        try self.init(TokenizerParts(tokenizerJSON: tokenizerJSON, settings: settings))
    }

    /// From tokens in order of their ids and merges `a b` in order of preference, as GGUF has them.
    ///
    /// `file` is named in errors.
    package init(tokens: [String], merges: [String], file: String) throws(TokenizerError) {
        try self.init(TokenizerParts(tokens: tokens, merges: merges, file: file))
    }

    /// From the files of a model's directory, which were found and read already.
    package init(_ files: TokenizerFiles) throws(TokenizerError) {
        switch files.form {
        case .vocabularyAndMerges(let vocabulary, let merges):
            try self.init(
                vocabularyJSON: vocabulary, merges: merges, settings: files.settings)
        case .combined(let json):
            try self.init(tokenizerJSON: json, settings: files.settings)
        }
    }

    /// From the files of a model's directory: `tokenizer.json`, else `vocab.json` and `merges.txt`.
    package init(directory: String) throws(TokenizerError) {
        try self.init(TokenizerFiles(directory: directory))
    }

    /// From a GGUF file, which holds the tokenizer of its model.
    package init(_ gguf: GGUFFile) throws {
        let vocabulary = try gguf.vocabulary(maximumCount: TokenizerParts.maximumTokens)
        try self.init(
            TokenizerParts(
                tokens: vocabulary.tokens, plainIDs: vocabulary.plainIDs,
                merges: vocabulary.merges, file: gguf.path,
                remedy: "take a GGUF file that was converted from a GPT-2"),
            finder: .longest(FoundTokens(vocabulary.found)))
    }

    /// From what a person names as a model: a directory, of which the tokenizer's files are enough, or a
    /// GGUF file.
    package init(model path: String) throws {
        if try ModelFile.isFile(at: path) {
            try self.init(GGUFFile(path: path))
        } else {
            try self.init(directory: path)
        }
    }

    private init(
        _ parts: TokenizerParts, finder: TokenFinder? = nil
    ) throws(TokenizerError) {
        let tables = try TokenizerTables(parts)
        vocabulary = tables.vocabulary
        encoding = tables.encoding
        wholePieces = tables.wholePieces
        endOfText = tables.endOfText
        self.finder = finder ?? .leftmost(tables.addedTokens)
        unaddedCount = parts.tokens.count
        addsPrefixSpace = parts.addsPrefixSpace
        settingsText = parts.settingsText
    }

    /// Takes added tokens and settings that are not GPT-2's own.
    package func update(_ digest: inout ContentDigest) {
        if !settingsText.isEmpty { digest.update(settingsText) }
    }

    package var vocabularySize: Int { vocabulary.count }

    /// Tokenizes a text.
    ///
    /// - Parameters:
    ///   - text: what to tokenize.
    ///   - parsingSpecialTokens: whether the text of a special token, as `<|endoftext|>`, is that token; otherwise it is
    ///     text like any other. Added tokens that are not special are found in any case.
    /// - Returns: the ids; none for a text without a byte that has a token.
    package func tokenize(_ text: String, parsingSpecialTokens: Bool = false) -> [TokenID] {
        tokenize(validated: text.utf8.span, parsingSpecialTokens)
    }

    package func tokenize(
        _ text: borrowing UTF8Span, parsingSpecialTokens: Bool = false
    ) -> [TokenID] {
        tokenize(validated: text.span, parsingSpecialTokens)
    }

    /// Checks that `text` is UTF-8 first.
    package func tokenize(
        bytes text: Span<UInt8>, parsingSpecialTokens: Bool = false
    ) throws(TokenizerError) -> [TokenID] {
        do {
            return tokenize(
                try UTF8Span(validating: text), parsingSpecialTokens: parsingSpecialTokens)
        } catch {
            throw .invalidUTF8(byteOffset: error.byteOffsets.lowerBound)
        }
    }

    /// The number of steps that merging `text` takes, for tests that it is in proportion to the length of `text`.
    package func mergeSteps(of text: String) -> Int {
        var scratch = MergeScratch()
        _ = tokenize(validated: text.utf8.span, scratch: &scratch)
        return scratch.stepCount
    }

    private func tokenize(
        validated text: Span<UInt8>, _ parsingSpecialTokens: Bool
    ) -> [TokenID] {
        var scratch = MergeScratch()
        guard finder.isNeeded(parsingSpecialTokens: parsingSpecialTokens) else {
            return tokenize(validated: text, scratch: &scratch)
        }
        var tokens: [TokenID] = []
        tokens.reserveCapacity(text.count / 3 + 1)
        let segments = finder.segments(of: text, parsingSpecialTokens: parsingSpecialTokens)
        for segment in segments {
            if let token = segment.token {
                tokens.append(token)
            } else {
                append(text.extracting(segment.range), to: &tokens, scratch: &scratch)
            }
        }
        return tokens
    }

    private func tokenize(
        validated text: Span<UInt8>, scratch: inout MergeScratch
    ) -> [TokenID] {
        var tokens: [TokenID] = []
        // English has about four bytes a token.
        tokens.reserveCapacity(text.count / 3 + 1)
        append(text, to: &tokens, scratch: &scratch)
        return tokens
    }

    /// Appends the tokens of a text without added tokens.
    private func append(
        _ text: Span<UInt8>, to tokens: inout [TokenID], scratch: inout MergeScratch
    ) {
        let space = UInt8(ascii: " ")
        if addsPrefixSpace, text.count > 0, text[0] != space {
            var spaced = [space]
            spaced.reserveCapacity(text.count + 1)
            for index in text.indices { spaced.append(text[index]) }
            appendPieces(of: spaced.span, to: &tokens, scratch: &scratch)
        } else {
            appendPieces(of: text, to: &tokens, scratch: &scratch)
        }
    }

    private func appendPieces(
        of text: Span<UInt8>, to tokens: inout [TokenID], scratch: inout MergeScratch
    ) {
        var start = 0
        while start < text.count {
            let end = preTokenizer.endOfPiece(startingAt: start, in: text)
            let piece = text.extracting(start..<end)
            if let token = wholePieces.token(of: piece, in: vocabulary) {
                tokens.append(token)
            } else {
                encoding.append(piece, to: &tokens, scratch: &scratch)
            }
            start = end
        }
    }

    /// The bytes `token` stands for, which need not be whole characters.
    package func bytes(of token: TokenID) throws(TokenizerError) -> ArraySlice<UInt8> {
        guard token < vocabulary.count else {
            throw .unknownToken(token, vocabularySize: vocabulary.count)
        }
        return vocabulary.bytes[vocabulary.range(of: Int(token))]
    }

    /// The bytes of `tokens`, one after the other: the inverse of `tokenize`.
    package func detokenize(
        _ tokens: some Sequence<TokenID>
    ) throws(TokenizerError) -> [UInt8] {
        var text: [UInt8] = []
        for token in tokens {
            text.append(contentsOf: try bytes(of: token))
        }
        return text
    }
}
