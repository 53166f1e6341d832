// The tokens of a GGUF file that are more than text: which end an answer, and which are found in a text before it is
// cut. The rules are llama.cpp's (src/llama-vocab.cpp, `llama_vocab::impl::load`), which knows many of them by their
// spelling only. The kinds of tokens: GGUFVocabulary.swift.
// SPDX-License-Identifier: Apache-2.0

/// What follows from the spellings and the ids that a file names.
struct GGUFMarks {
    /// Ids that end an answer, ascending.
    let ends: [Int]
    /// Ids that count as control tokens by their spelling, whatever their kind.
    private let controls: Set<Int>
    /// Ids that count as user-defined, whatever their kind.
    private let userDefined: Set<Int>
    /// Ids that count as normal, whatever their kind.
    private let normal: Set<Int>

    /// - Parameters:
    ///   - ids: of spellings that matter, for a vocabulary that has them.
    ///   - named: what `tokenizer.ggml.…_token_id` names, by what stands in the key's middle.
    init(ids: [String: Int], named: [String: Int]) {
        var ends = Set(Self.ends.compactMap { ids[$0] })
        var controls = ends
        for key in ["eos", "eot", "eom"] {
            if let id = named[key] { ends.insert(id) }
        }
        for role in Self.roles {
            if let id = named[role.key] {
                if role.ends { ends.insert(id) }
                continue
            }
            let found = role.spellings.compactMap { ids[$0] }
            controls.formUnion(found)
            if role.ends { ends.formUnion(found) }
        }
        var userDefined = Set(Self.alwaysUserDefined.compactMap { ids[$0] })
        func endsWith(_ spelling: String) -> Bool { ids[spelling].map(ends.contains) ?? false }
        // Where an answer may end in other ways, `<|end|>` parts its sections.
        let isCalled = endsWith("<|call|>") || endsWith("<|calls|>")
        if isCalled, endsWith("<|return|>") || endsWith("<|flush|>"), let end = ids["<|end|>"] {
            ends.remove(end)
            userDefined.insert(end)
        }
        var normal: Set<Int> = []
        if endsWith("<|tool_response>"), let end = ids["</s>"] {
            ends.remove(end)
            normal.insert(end)
        }
        self.normal = normal
        self.ends = ends.sorted()
        self.controls = controls.subtracting(userDefined)
        self.userDefined = userDefined
    }

    /// When a token is found in a text: nil never, false where special tokens are asked for, true always.
    func isAlwaysFound(_ id: Int, kind: Int) -> Bool? {
        if normal.contains(id) { return nil }
        if userDefined.contains(id) { return true }
        if controls.contains(id) { return false }
        switch kind {
        case GGUFVocabulary.Kind.control, GGUFVocabulary.Kind.unknown: return false
        case GGUFVocabulary.Kind.userDefined: return true
        default: return nil
        }
    }

    // MARK: - Spellings

    /// All that matter.
    static let spellings = Set(ends + roles.flatMap(\.spellings) + alwaysUserDefined)

    private static let ends = [
        "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>",
        "<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]",
        "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>",
        "<｜end▁of▁sentence｜>", "[e~[",
    ]

    private static let alwaysUserDefined = [
        "<|channel|>", "<|message|>", "<|start|>", "<|constrain|>",
    ]

    /// Tokens for filling gaps in code: a key names one, or its spelling does.
    ///
    /// Three of them end an answer.
    private static let roles: [(key: String, ends: Bool, spellings: [String])] = [
        (
            "fim_pre", false,
            [
                "<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>",
                "▁<PRE>",
                "<|code_prefix|>", "<|prefix|>",
            ]
        ),
        (
            "fim_suf", false,
            [
                "<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>",
                "<|code_suffix|>", "<|suffix|>",
            ]
        ),
        (
            "fim_mid", false,
            [
                "<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>",
                "<|code_middle|>", "<|middle|>",
            ]
        ),
        ("fim_pad", true, ["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"]),
        (
            "fim_rep", true,
            ["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"]
        ),
        ("fim_sep", true, ["<|file_sep|>"]),
    ]

    /// What stands in the middle of the keys that matter.
    static let keys = ["eos", "eot", "eom"] + roles.map(\.key)
}

extension GGUFFile {
    /// What llama.cpp takes for the end where a file names none: its default for this kind of tokenizer.
    private static let standardEnd = 11

    /// Which tokens are more than text; an id beyond the tokens counts as if its key were absent.
    ///
    /// `rowCount` is that of the token table, beyond which no token can come. A file without tokens has no tokenizer, and
    /// its weights can be read.
    func marks(rowCount: Int) throws(ModelFileError) -> GGUFMarks {
        let prefix = "tokenizer.ggml."
        let (count, ids) = try metadata.places(of: GGUFMarks.spellings, in: prefix + "tokens")
        let limit = min(count == 0 ? rowCount : count, rowCount)
        var named: [String: Int] = [:]
        for name in GGUFMarks.keys {
            let key = "\(prefix)\(name)_token_id"
            guard let id = try metadata.integer(key) else { continue }
            guard id >= 0 else {
                throw error(.malformed, "\(key) must not be negative, found \(id)")
            }
            if id < limit { named[name] = id }
        }
        if named["eos"] == nil, count > 0, Self.standardEnd < limit {
            named["eos"] = Self.standardEnd
        }
        return GGUFMarks(ids: ids.filter { $0.value < limit }, named: named)
    }
}
