// Merging in small made-up vocabularies, against a reading of the rule that takes one merge at a time.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchProtocol
import Testing

@Suite struct BytePairEncodingTests {
    /// Pieces on both sides of the length at which pairs are kept in order.
    ///
    /// Merges as training makes them; or in any order, so that later merges can have lower ranks than
    /// the ones that make them possible.
    @Test(arguments: UInt64(0)..<60, [true, false])
    func mergesTheLowestRankLeftmostFirst(seed: UInt64, isTrained: Bool) throws {
        var random = TextTests.Random(seed)
        let vocabulary = SmallVocabulary(mergeCount: 60, isTrained: isTrained, &random)
        let tokenizer = try Tokenizer(
            tokens: vocabulary.tokens, merges: vocabulary.merges.map { "\($0) \($1)" }, file: "-")
        for length in [1, 2, 3, 5, 17, 47, 48, 49, 50, 200, 201] {
            // Runs too: their pairs overlap.
            let letters = length % 2 == 0 ? "abc" : "aaaaaab"
            let piece = String(
                (0..<length).map { _ in letters.randomElement(using: &random) ?? "a" })
            let expected = vocabulary.merged(piece)
            let found = try tokenizer.tokenize(piece).map { id in
                String(decoding: try tokenizer.bytes(of: id), as: UTF8.self)
            }
            #expect(found == expected, "\(piece)")
        }
    }

    /// "abc" is in the vocabulary, but no merge gives it: a piece that is a token stays two tokens.
    @Test func tokensWithoutMergesAreNotUsed() throws {
        let tokens = SmallVocabulary.bytes + ["ab", "abc"]
        let tokenizer = try Tokenizer(tokens: tokens, merges: ["a b"], file: "-")
        let ids = tokenizer.tokenize("abc")
        #expect(try ids.map { Array(try tokenizer.bytes(of: $0)) } == [Array("ab".utf8), [0x63]])
    }
}

/// The 256 bytes, and merges among a, b and c.
struct SmallVocabulary {
    var tokens = bytes
    var merges: [(String, String)] = []

    /// The alphabet of bytes: printable Latin-1 as itself, the rest from U+0100 on.
    static let bytes: [String] = {
        var next: UInt32 = 0x100
        return (UInt32(0)..<256).compactMap { byte in
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF:
                return Unicode.Scalar(byte).map { String($0) }
            default:
                defer { next += 1 }
                return Unicode.Scalar(next).map { String($0) }
            }
        }
    }()

    init(mergeCount: Int, isTrained: Bool, _ random: inout TextTests.Random) {
        var made = ["a", "b", "c"]
        while merges.count < mergeCount {
            let left = made.randomElement(using: &random) ?? "a"
            let right = made.randomElement(using: &random) ?? "a"
            guard !merges.contains(where: { $0 == (left, right) }) else { continue }
            // In training a pair that makes a token known already never comes up.
            if isTrained, made.contains(left + right) { continue }
            merges.append((left, right))
            if !made.contains(left + right) {
                made.append(left + right)
                tokens.append(left + right)
            }
        }
        if !isTrained { merges.shuffle(using: &random) }
    }

    func merged(_ piece: String) -> [String] {
        var symbols = piece.map { String($0) }
        while true {
            let ranks = zip(symbols, symbols.dropFirst()).map { pair in
                merges.firstIndex { $0 == pair } ?? Int.max
            }
            guard let least = ranks.min(), least < Int.max,
                let place = ranks.firstIndex(of: least)
            else { return symbols }
            symbols.replaceSubrange(place...place + 1, with: [symbols[place] + symbols[place + 1]])
        }
    }
}
