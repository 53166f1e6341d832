// Finds added tokens in a text: the longest at the leftmost place, first those that are not normalized, then the
// others in what is left, as Hugging Face's tokenizers do. What stands between them is cut and merged by itself:
// Tokenizer.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

/// The added tokens of a vocabulary, ready to be looked for.
struct AddedTokenMatcher: Sendable {
    struct Token: Sendable {
        var bytes: [UInt8]
        var id: TokenID
        var isSpecial: Bool
        var stripsLeft: Bool
        var stripsRight: Bool
    }

    private var first = AddedTokenTrie()
    private var second = AddedTokenTrie()
    private(set) var hasSpecial = false
    private(set) var hasPlain = false

    /// Adds a token; of two with the same bytes the later one counts.
    mutating func append(_ token: Token, isNormalized: Bool) {
        if isNormalized { second.insert(token) } else { first.insert(token) }
        if token.isSpecial { hasSpecial = true } else { hasPlain = true }
    }

    /// Whether a text can have segments other than itself.
    func isNeeded(parsingSpecialTokens: Bool) -> Bool {
        hasPlain || parsingSpecialTokens && hasSpecial
    }

    func segments(of text: Span<UInt8>, parsingSpecialTokens: Bool) -> [TextSegment] {
        var outer: [TextSegment] = []
        first.split(text, 0..<text.count, parsingSpecialTokens, into: &outer)
        guard !second.isEmpty else { return outer }
        var segments: [TextSegment] = []
        for segment in outer {
            if segment.token == nil {
                second.split(text, segment.range, parsingSpecialTokens, into: &segments)
            } else {
                segments.append(segment)
            }
        }
        return segments
    }
}

/// Tokens by their bytes, one byte a step.
private struct AddedTokenTrie: Sendable {
    private var tokens: [AddedTokenMatcher.Token] = []
    /// From a node and a byte to the next node; the root is 0.
    private var next: [UInt64: UInt32] = [:]
    /// The token that ends at each node.
    private var tokenOfNode: [Int?] = [nil]
    private var beginsToken = [Bool](repeating: false, count: 256)

    var isEmpty: Bool { tokens.isEmpty }

    mutating func insert(_ token: AddedTokenMatcher.Token) {
        var node: UInt32 = 0
        for byte in token.bytes {
            let edge = UInt64(node) << 8 | UInt64(byte)
            if let found = next[edge] {
                node = found
            } else {
                node = UInt32(tokenOfNode.count)
                tokenOfNode.append(nil)
                next[edge] = node
            }
        }
        if let head = token.bytes.first { beginsToken[Int(head)] = true }
        tokenOfNode[Int(node)] = tokens.count
        tokens.append(token)
    }

    /// Appends the segments of `range`, which together are all of it.
    func split(
        _ text: Span<UInt8>, _ range: Range<Int>, _ parsingSpecialTokens: Bool,
        into segments: inout [TextSegment]
    ) {
        var position = range.lowerBound
        // Where the segment before ends.
        var end = range.lowerBound
        // The spaces behind the last token that strips them: a token inside them strips no further.
        var stripped = range.lowerBound..<range.lowerBound
        while position < range.upperBound {
            guard let (token, matchEnd) = longest(text, position..<range.upperBound) else {
                position += 1
                continue
            }
            // A special token that is not asked for is passed over as a whole.
            if token.isSpecial, !parsingSpecialTokens {
                position = matchEnd
                continue
            }
            var start = position
            var stop = matchEnd
            if token.stripsLeft {
                start = max(end, Spaces.start(before: start, in: text, from: end))
            }
            if token.stripsRight {
                if !(stripped.lowerBound...stripped.upperBound ~= stop) {
                    stripped = stop..<Spaces.end(after: stop, in: text, to: range.upperBound)
                }
                stop = stripped.upperBound
            }
            if end < start { segments.append(.init(range: end..<start, token: nil)) }
            // Spaces between two tokens that strip them belong to the first, which may leave the second nothing.
            if start < stop { segments.append(.init(range: start..<stop, token: token.id)) }
            if start <= stop { end = stop }
            position = matchEnd
        }
        if end < range.upperBound {
            segments.append(.init(range: end..<range.upperBound, token: nil))
        }
    }

    /// The longest token that begins where `range` does, and where it ends.
    private func longest(
        _ text: Span<UInt8>, _ range: Range<Int>
    ) -> (AddedTokenMatcher.Token, Int)? {
        guard beginsToken[Int(text[range.lowerBound])] else { return nil }
        var found: (AddedTokenMatcher.Token, Int)?
        var node: UInt32 = 0
        for index in range {
            guard let child = next[UInt64(node) << 8 | UInt64(text[index])] else { break }
            node = child
            if let token = tokenOfNode[Int(node)] { found = (tokens[token], index + 1) }
        }
        return found
    }
}

/// Runs of white space beside a token, in valid UTF-8.
private enum Spaces {
    /// Where the spaces that end at `end` begin, not before `limit`.
    static func start(before end: Int, in text: Span<UInt8>, from limit: Int) -> Int {
        var start = end
        while start > limit {
            var scalarStart = start - 1
            while scalarStart > limit, text[scalarStart] & 0xC0 == 0x80 { scalarStart -= 1 }
            guard isSpace(text, scalarStart..<start) else { break }
            start = scalarStart
        }
        return start
    }

    /// Where the spaces that begin at `start` end, not behind `limit`.
    static func end(after start: Int, in text: Span<UInt8>, to limit: Int) -> Int {
        var end = start
        while end < limit {
            var scalarEnd = end + 1
            while scalarEnd < limit, text[scalarEnd] & 0xC0 == 0x80 { scalarEnd += 1 }
            guard isSpace(text, end..<scalarEnd) else { break }
            end = scalarEnd
        }
        return end
    }

    private static func isSpace(_ text: Span<UInt8>, _ range: Range<Int>) -> Bool {
        let lead = UInt32(text[range.lowerBound])
        var scalar = lead
        switch range.count {
        case 2: scalar = lead & 0x1F
        case 3: scalar = lead & 0x0F
        case 4: scalar = lead & 0x07
        default: break
        }
        for index in range.dropFirst() { scalar = scalar << 6 | UInt32(text[index] & 0x3F) }
        return scalar < 0x11_0000 && ScalarClassTable.shared[scalar] == .space
    }
}
