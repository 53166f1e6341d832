// The tokenizer inside a GGUF file, as lists. Checking and using them: the folder Tokenizer.
// SPDX-License-Identifier: Apache-2.0

/// Tokens and merges of a byte-level BPE.
package struct GGUFVocabulary: Sendable {
    /// In order of their ids.
    package var tokens: [String]
    /// Ids of tokens that are plain text; the others are spelled in the alphabet of bytes.
    package var plainIDs: Set<Int>
    /// `a b`, in order of preference.
    package var merges: [String]
    /// Tokens that are found in a text before it is cut.
    package var found: [FoundToken]

    /// A token that stands for itself in a text.
    package struct FoundToken: Sendable, Hashable {
        package var id: Int
        package var text: String
        /// False: only where a text's special tokens are asked for.
        package var isAlwaysFound: Bool

        /// Far above any mark; keeps the search in proportion to the text.
        package static let maximumBytes = 256
    }

    /// The numbers of `tokenizer.ggml.token_type` that occur with GPT-2.
    enum Kind {
        static let normal = 1
        /// Stands for text that has no token; as control.
        static let unknown = 2
        static let control = 3
        static let userDefined = 4
        /// Fills the ids between the tokenizer's last and the table's last row.
        static let unused = 5
    }
}

extension GGUFFile {
    private static let prefix = "tokenizer.ggml."

    /// Reads the vocabulary; `maximumCount` is the most tokens, and the most merges.
    package func vocabulary(maximumCount: Int) throws(ModelFileError) -> GGUFVocabulary {
        try checkTokenizer()
        guard
            var tokens = try metadata.texts(Self.prefix + "tokens", maximumCount: maximumCount)
        else { throw missing("tokens") }
        guard
            let merges = try metadata.texts(Self.prefix + "merges", maximumCount: maximumCount)
        else { throw missing("merges") }
        let kindKey = Self.prefix + "token_type"
        var kinds = try metadata.integers(kindKey, maximumCount: maximumCount) ?? []
        guard kinds.isEmpty || kinds.count >= tokens.count else {
            throw error(
                .inconsistent, "\(kindKey) has \(kinds.count) elements for \(tokens.count) tokens")
        }
        kinds.removeLast(max(0, kinds.count - tokens.count))
        while kinds.last == GGUFVocabulary.Kind.unused {
            kinds.removeLast()
            tokens.removeLast()
        }
        var plainIDs: Set<Int> = []
        for (id, kind) in kinds.enumerated() {
            switch kind {
            case GGUFVocabulary.Kind.normal: break
            case GGUFVocabulary.Kind.unknown, GGUFVocabulary.Kind.control,
                GGUFVocabulary.Kind.userDefined, GGUFVocabulary.Kind.unused:
                plainIDs.insert(id)
            default:
                throw error(
                    .unsupported, "\(kindKey) of token \(id) must be 1 to 5, found \(kind)",
                    remedy: GGUFFile.convertAgain)
            }
        }
        let marks = try marks(rowCount: .max)
        var found: [GGUFVocabulary.FoundToken] = []
        for (id, token) in tokens.enumerated() {
            let kind = kinds.isEmpty ? GGUFVocabulary.Kind.normal : kinds[id]
            guard let isAlwaysFound = marks.isAlwaysFound(id, kind: kind) else { continue }
            guard token.utf8.count <= GGUFVocabulary.FoundToken.maximumBytes else {
                throw error(
                    .unsupported,
                    "token \(id) has \(token.utf8.count) bytes, expected at most "
                        + "\(GGUFVocabulary.FoundToken.maximumBytes) of a token that is not normal")
            }
            found.append(
                GGUFVocabulary.FoundToken(id: id, text: token, isAlwaysFound: isAlwaysFound))
        }
        try checkSpaces(tokens)
        return GGUFVocabulary(
            tokens: tokens, plainIDs: plainIDs, merges: merges, found: found)
    }

    /// Takes everything that decides which ids a text has.
    package func updateWithTokenizer(_ digest: inout ContentDigest) {
        for key in ["tokens", "token_type", "merges"] {
            metadata.update(&digest, with: Self.prefix + key)
        }
    }

    /// Refuses a tokenizer that differs from GPT-2's in any setting.
    private func checkTokenizer() throws(ModelFileError) {
        guard let model = try metadata.text(Self.prefix + "model") else { throw missing("model") }
        guard model == "gpt2" else {
            throw error(
                .unsupported,
                "\(Self.prefix)model must be 'gpt2', found \(model.quotedForMessage)",
                remedy: Self.convertAgain)
        }
        try checkPattern()
        for key in ["add_bos_token", "add_eos_token", "add_sep_token"] {
            guard try metadata.flag(Self.prefix + key) != true else {
                throw error(
                    .unsupported, "\(Self.prefix)\(key) must be false, found true",
                    remedy: "GPT-2's tokenizer adds nothing to a text")
            }
        }
        let suppressed = Self.prefix + "suppress_tokens"
        if let ids = try metadata.integers(suppressed, maximumCount: .max), !ids.isEmpty {
            throw error(
                .unsupported, "\(suppressed) must be empty, found \(ids.count) elements",
                remedy: "every token of the tokenizer can be generated here")
        }
    }

    /// Names that llama.cpp has for GPT-2's pattern, by which a text is cut.
    private static let patterns: Set<String> = [
        "gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0",
        "mellum", "modern-bert", "exaone4", "mpt", "olmo", "jais", "trillion", "granite-docling",
    ]
    /// The same pattern, and a separator after a prompt where the file names one.
    private static let separatingPatterns: Set<String> = [
        "jina-v1-en", "jina-v2-code", "roberta-bpe",
    ]

    private func checkPattern() throws(ModelFileError) {
        let key = Self.prefix + "pre"
        guard let pattern = try metadata.text(key), !pattern.isEmpty else {
            throw error(
                .missing,
                "\(key) is missing, expected 'gpt-2': llama.cpp cuts the texts of such a file in "
                    + "another way than GPT-2 does",
                remedy: "if it is a GPT-2, say so with the script of the Python package gguf: "
                    + "gguf-new-metadata --pre-tokenizer gpt-2 FILE NEW_FILE")
        }
        if Self.patterns.contains(pattern) { return }
        if Self.separatingPatterns.contains(pattern) {
            let addsSeparator = Self.prefix + "add_sep_token"
            let separator = Self.prefix + "seperator_token_id"
            if try metadata.flag(addsSeparator) == false { return }
            guard metadata.has(separator) else { return }
            throw error(
                .unsupported,
                "\(key) \(pattern.quotedForMessage) and \(separator) add a separator to a prompt",
                remedy: "GPT-2's tokenizer adds nothing to a text; set \(addsSeparator) to false")
        }
        throw error(
            .unsupported, "\(key) must be 'gpt-2', found \(pattern.quotedForMessage)",
            remedy: pattern == "default"
                ? "it cuts text in another way than GPT-2 does"
                : "it is none of the names that llama.cpp has for GPT-2's way to cut text")
    }

    /// Refuses tokens that would take the spaces beside them, which llama.cpp knows by names.
    private func checkSpaces(_ tokens: [String]) throws(ModelFileError) {
        let key = Self.prefix + "pre"
        let pattern = try metadata.text(key) ?? ""
        let name = (try metadata.text("general.name") ?? "").lowercased()
        if pattern.hasPrefix("jina-v2-"), tokens.contains("<mask>") {
            throw error(
                .unsupported,
                "\(key) \(pattern.quotedForMessage) lets the token '<mask>' take the spaces "
                    + "before it", remedy: "GPT-2's tokenizer has no such token")
        }
        let takesSpaces =
            name.contains("phi-3") || name.contains("phi3")
            || (name.contains("modern-bert") && tokens.contains("[MASK]"))
        if takesSpaces {
            throw error(
                .unsupported,
                "general.name \(name.quotedForMessage) lets tokens take the spaces beside them",
                remedy: "give the file another name with gguf-new-metadata --general-name")
        }
    }

    private func missing(_ key: String) -> ModelFileError {
        error(
            .missing, "\(Self.prefix)\(key) is missing: the file has no tokenizer",
            remedy: Self.convertAgain)
    }
}
