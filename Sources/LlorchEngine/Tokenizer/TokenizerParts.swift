// What every vocabulary format comes down to; nothing is checked but the spelling.
// The formats: TokenizerParts+parsing.swift; the checks: TokenizerTables.swift; ids: TokenizerParts+added.swift.
// SPDX-License-Identifier: Apache-2.0

struct TokenizerParts {
    /// For messages: where tokens and merges came from.
    var file: String
    var mergesFile: String
    /// Tokens in the alphabet of bytes, or as plain text.
    var tokens: [(spelling: String, id: Int, isPlain: Bool)] = []
    /// Tokens that are looked for in a text; those that are not new are tokens of the vocabulary too.
    var added: [(token: AddedToken, id: Int, isNew: Bool)] = []
    /// Whether a text that does not begin with a space gets one.
    var addsPrefixSpace = false
    /// Whether bytes may be without a token, and tokens without a spelling in the alphabet of bytes: such a byte is
    /// left out of a text and such a token is in no text, as transformers has it.
    var allowsGaps = false
    /// Where a file names a token for bytes that have none.
    var unknownTokenField: String?
    /// In order of preference; bytes, no longer spelled.
    private(set) var merges = Vocabulary()
    /// Bytes of the left part of each merge.
    private(set) var leftCounts: [UInt32] = []
    let alphabet = ByteAlphabet()
    private var scratch: [UInt8] = []
    /// For messages: what to do instead.
    var remedy = "use GPT-2's vocab.json and merges.txt, or a tokenizer.json made from them"

    /// Far above any GPT-2 vocabulary; keeps loading in bounds for a made-up file.
    static let maximumTokens = 1 << 20

    init(file: String, mergesFile: String) {
        self.file = file
        self.mergesFile = mergesFile
    }

    /// Adds the merge of the next rank; `field` is where it stands.
    mutating func appendMerge(
        _ left: Span<UInt8>, _ right: Span<UInt8>, _ field: @autoclosure () -> String
    ) throws(TokenizerError) {
        guard merges.count < Self.maximumTokens else {
            throw invalid("merges", "at most \(Self.maximumTokens)", "more", file: mergesFile)
        }
        scratch.removeAll(keepingCapacity: true)
        let isSpelled = alphabet.append(left, to: &scratch)
        let leftCount = scratch.count
        guard isSpelled, alphabet.append(right, to: &scratch) else {
            throw invalid(
                field(), "characters of GPT-2's alphabet of bytes", "others", file: mergesFile)
        }
        merges.append(scratch)
        leftCounts.append(UInt32(leftCount))
    }

    func invalid(
        _ field: String, _ expected: String, _ found: String, file: String? = nil,
        remedy: String? = nil
    ) -> TokenizerError {
        .invalidFile(
            file: file ?? self.file, field: field, expected: expected, found: found,
            remedy: remedy ?? self.remedy)
    }

    /// Text of a file for a message: control characters escaped, cut to a bearable length.
    static func quoted(_ text: String) -> String {
        var quoted = ""
        for scalar in text.unicodeScalars.prefix(40) { quoted += scalar.escaped(asASCII: false) }
        return "\"\(quoted)\""
    }
}
