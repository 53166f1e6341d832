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

    /// The numbers of `tokenizer.ggml.token_type` that occur with GPT-2.
    fileprivate enum Kind {
        static let normal = 1
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
        guard kinds.isEmpty || kinds.count == tokens.count else {
            throw error(
                .inconsistent, "\(kindKey) has \(kinds.count) elements for \(tokens.count) tokens")
        }
        while kinds.last == GGUFVocabulary.Kind.unused {
            kinds.removeLast()
            tokens.removeLast()
        }
        var plainIDs: Set<Int> = []
        for (id, kind) in kinds.enumerated() {
            switch kind {
            case GGUFVocabulary.Kind.normal: break
            case GGUFVocabulary.Kind.control, GGUFVocabulary.Kind.userDefined,
                GGUFVocabulary.Kind.unused:
                plainIDs.insert(id)
            default:
                throw error(
                    .unsupported, "\(kindKey) of token \(id) must be 1, 3, 4 or 5, found \(kind)",
                    remedy: GGUFFile.convertAgain)
            }
        }
        return GGUFVocabulary(tokens: tokens, plainIDs: plainIDs, merges: merges)
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
        // Older files of GPT-2 have no such key.
        if let pattern = try metadata.text(Self.prefix + "pre"), pattern != "gpt-2" {
            throw error(
                .unsupported,
                "\(Self.prefix)pre must be 'gpt-2', found \(pattern.quotedForMessage)",
                remedy: "it cuts text in another way than GPT-2 does")
        }
        for key in ["add_bos_token", "add_eos_token", "add_space_prefix"] {
            guard try metadata.flag(Self.prefix + key) != true else {
                throw error(
                    .unsupported, "\(Self.prefix)\(key) must be false, found true",
                    remedy: "GPT-2's tokenizer adds nothing to a text")
            }
        }
    }

    private func missing(_ key: String) -> ModelFileError {
        error(
            .missing, "\(Self.prefix)\(key) is missing: the file has no tokenizer",
            remedy: Self.convertAgain)
    }
}
