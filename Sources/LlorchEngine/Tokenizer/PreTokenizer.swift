// Cuts text into the pieces within which byte pairs are merged, as GPT-2's pattern does:
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// One pass, one scalar of look-ahead, no pattern engine. Merging: BytePairEncoding.swift.
// SPDX-License-Identifier: Apache-2.0

package struct PreTokenizer: Sendable {
    private let classes = ScalarClassTable.shared

    package init() {}

    /// End of the piece that begins at `start`; pieces follow one another without gaps.
    ///
    /// - Precondition: `text` is valid UTF-8 and `start` is the beginning of a scalar in it.
    package func endOfPiece(startingAt start: Int, in text: Span<UInt8>) -> Int {
        let first = text[start]
        if first == UInt8(ascii: "'"), let end = endOfContraction(startingAt: start, in: text) {
            return end
        }
        var position = start
        var (runClass, width) = scalar(at: start, in: text)
        if first == UInt8(ascii: " "), start + 1 < text.count {
            let (following, followingWidth) = scalar(at: start + 1, in: text)
            if following != .space {
                position = start + 1
                runClass = following
                width = followingWidth
            }
        }
        if runClass == .space {
            return endOfSpaces(startingAt: start, width: width, in: text)
        }
        position += width
        while position < text.count {
            let (next, nextWidth) = scalar(at: position, in: text)
            guard next == runClass else { break }
            position += nextWidth
        }
        return position
    }

    /// A run of spaces leaves its last scalar to the word that follows, unless it is all there is.
    private func endOfSpaces(startingAt start: Int, width: Int, in text: Span<UInt8>) -> Int {
        var last = start
        var end = start + width
        while end < text.count {
            let (next, nextWidth) = scalar(at: end, in: text)
            guard next == .space else { return last == start ? end : last }
            last = end
            end += nextWidth
        }
        return end
    }

    private func endOfContraction(startingAt start: Int, in text: Span<UInt8>) -> Int? {
        guard start + 1 < text.count else { return nil }
        let second = text[start + 1]
        switch second {
        case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"):
            return start + 2
        case UInt8(ascii: "r"), UInt8(ascii: "v"), UInt8(ascii: "l"):
            guard start + 2 < text.count else { return nil }
            let last = second == UInt8(ascii: "l") ? second : UInt8(ascii: "e")
            return text[start + 2] == last ? start + 3 : nil
        default:
            return nil
        }
    }

    /// Class of the scalar that begins at `position`, and its length in bytes.
    @inline(__always)
    private func scalar(at position: Int, in text: Span<UInt8>) -> (ScalarClass, width: Int) {
        let lead = UInt32(text[position])
        if lead < 0x80 {
            return (classes[lead], 1)
        }
        let second = UInt32(text[position + 1] & 0x3F)
        if lead < 0xE0 {
            return (classes[(lead & 0x1F) << 6 | second], 2)
        }
        let third = UInt32(text[position + 2] & 0x3F)
        if lead < 0xF0 {
            return (classes[(lead & 0x0F) << 12 | second << 6 | third], 3)
        }
        let fourth = UInt32(text[position + 3] & 0x3F)
        return (classes[(lead & 0x07) << 18 | second << 12 | third << 6 | fourth], 4)
    }
}
