// How tokens that stand for themselves are found in a text: a directory's as Hugging Face's tokenizers find them,
// a GGUF file's as llama.cpp does. The two differ where tokens overlap.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

/// A part of a text: a token, or text between tokens where `token` is nil.
struct TextSegment: Sendable, Hashable {
    var range: Range<Int>
    var token: TokenID?
}

enum TokenFinder: Sendable {
    /// The leftmost token, the longest of those that begin there.
    case leftmost(AddedTokenMatcher)
    /// The longest token wherever it stands, then the next in what is left.
    case longest(FoundTokens)

    /// Whether a text can have segments other than itself.
    func isNeeded(parsingSpecialTokens: Bool) -> Bool {
        switch self {
        case .leftmost(let matcher): matcher.isNeeded(parsingSpecialTokens: parsingSpecialTokens)
        case .longest(let found): !found.isEmpty
        }
    }

    /// The segments of a text, which together are all of it.
    func segments(of text: Span<UInt8>, parsingSpecialTokens: Bool) -> [TextSegment] {
        switch self {
        case .leftmost(let matcher):
            matcher.segments(of: text, parsingSpecialTokens: parsingSpecialTokens)
        case .longest(let found):
            found.segments(of: text, parsingSpecialTokens: parsingSpecialTokens)
        }
    }
}
