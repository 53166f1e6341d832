// GPT-2's byte-level byte-pair encoding: text to token ids and back.
// The steps: PreTokenizer.swift, BytePairEncoding.swift; pieces of a running answer:
// StreamingDetokenizer.swift. Special tokens in text are ordinary text.
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

    /// From the contents of `vocab.json` and `merges.txt`.
    package init(vocabularyJSON: [UInt8], merges: [UInt8]) throws(TokenizerError) {
        try self.init(TokenizerParts(vocabularyJSON: vocabularyJSON, merges: merges))
    }

    /// From the contents of a `tokenizer.json` that does what GPT-2 does.
    package init(tokenizerJSON: [UInt8]) throws(TokenizerError) {
        try self.init(TokenizerParts(tokenizerJSON: tokenizerJSON))
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
            try self.init(vocabularyJSON: vocabulary, merges: merges)
        case .combined(let json): try self.init(tokenizerJSON: json)
        }
    }

    /// From the files of a model's directory: `vocab.json` and `merges.txt`, else `tokenizer.json`.
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
                remedy: "take a GGUF file that was converted from a GPT-2"))
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

    private init(_ parts: TokenizerParts) throws(TokenizerError) {
        let tables = try TokenizerTables(parts)
        vocabulary = tables.vocabulary
        encoding = tables.encoding
        wholePieces = tables.wholePieces
        endOfText = tables.endOfText
    }

    package var vocabularySize: Int { vocabulary.count }

    package func tokenize(_ text: String) -> [TokenID] {
        tokenize(validated: text.utf8.span)
    }

    package func tokenize(_ text: borrowing UTF8Span) -> [TokenID] {
        tokenize(validated: text.span)
    }

    /// Checks that `text` is UTF-8 first.
    package func tokenize(bytes text: Span<UInt8>) throws(TokenizerError) -> [TokenID] {
        do {
            return tokenize(try UTF8Span(validating: text))
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

    private func tokenize(validated text: Span<UInt8>) -> [TokenID] {
        var scratch = MergeScratch()
        return tokenize(validated: text, scratch: &scratch)
    }

    private func tokenize(
        validated text: Span<UInt8>, scratch: inout MergeScratch
    ) -> [TokenID] {
        var tokens: [TokenID] = []
        // English has about four bytes a token.
        tokens.reserveCapacity(text.count / 3 + 1)
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
        return tokens
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
