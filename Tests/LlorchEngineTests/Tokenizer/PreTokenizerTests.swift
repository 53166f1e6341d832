// The one-pass cutter against a reading of the pattern that tries its alternatives one by one.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchJSON
import LlorchProtocol
import Testing

@Suite struct PreTokenizerTests {
    @Test func classesOfAllScalarsAreTiktokens() throws {
        let golden = try #require(try GPT2Fixture.golden()["scalar_classes"]?.asObject)
        var counts = [0, 0, 0, 0]
        let classes = (UInt32(0)..<0x11_0000).map { value in
            let found = ScalarClassTable.shared[value].rawValue
            counts[Int(found)] += 1
            return UInt32(found)
        }
        let expected = golden["counts"]?.asArray?.map { $0.asNumber?.asInt64 }
        #expect(expected == counts[1...].map { Int64($0) })
        #expect(golden["fnv"]?.asString == TextTests.digest(classes))
    }

    @Test(arguments: UInt64(0)..<300)
    func cutsAsThePatternDoes(seed: UInt64) {
        var random = TextTests.Random(seed)
        let text = random.text(fragments: 40)
        #expect(pieces(of: text) == PatternReading(text).pieces(), "\(text.debugDescription)")
    }

    /// Every string of up to five of the characters that the pattern tells apart.
    @Test func cutsAllShortTexts() {
        let alphabet: [Unicode.Scalar] = [" ", "\n", "'", "s", "l", "1", "!", "\u{A0}"]
        var texts: [[Unicode.Scalar]] = [[]]
        for _ in 0..<5 {
            texts = texts.flatMap { text in alphabet.map { text + [$0] } }
            for scalars in texts {
                var text = String.UnicodeScalarView()
                text.append(contentsOf: scalars)
                let expected = PatternReading(String(text)).pieces()
                if pieces(of: String(text)) != expected {
                    Issue.record("\(String(text).debugDescription), expected \(expected)")
                }
            }
        }
    }

    private func pieces(of text: String) -> [String] {
        let cutter = PreTokenizer()
        let bytes = Array(text.utf8)
        var pieces: [String] = []
        var start = 0
        while start < bytes.count {
            let end = cutter.endOfPiece(startingAt: start, in: bytes.span)
            pieces.append(String(decoding: bytes[start..<end], as: UTF8.self))
            start = end
        }
        return pieces
    }
}

/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`, word by word.
private struct PatternReading {
    private let scalars: [Unicode.Scalar]

    init(_ text: String) {
        scalars = Array(text.unicodeScalars)
    }

    func pieces() -> [String] {
        var pieces: [String] = []
        var start = 0
        while start < scalars.count {
            let end = alternatives.lazy.compactMap { $0(start) }.first ?? scalars.count
            var piece = String.UnicodeScalarView()
            piece.append(contentsOf: scalars[start..<end])
            pieces.append(String(piece))
            start = end
        }
        return pieces
    }

    private var alternatives: [(Int) -> Int?] {
        ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"].map { word in { literal(word, at: $0) } }
            + [ScalarClass.letter, .number, .other].map { sort in { words(of: sort, at: $0) } }
            + [{ spacesBeforeSpace(at: $0) }, { run(of: .space, at: $0) }]
    }

    private func literal(_ word: String, at start: Int) -> Int? {
        let word = Array(word.unicodeScalars)
        return scalars[start...].starts(with: word) ? start + word.count : nil
    }

    private func run(of sort: ScalarClass, at start: Int) -> Int? {
        var end = start
        while end < scalars.count, ScalarClassTable.shared[scalars[end].value] == sort { end += 1 }
        return end > start ? end : nil
    }

    private func words(of sort: ScalarClass, at start: Int) -> Int? {
        if scalars[start] == " ", let end = run(of: sort, at: start + 1) { return end }
        return run(of: sort, at: start)
    }

    private func spacesBeforeSpace(at start: Int) -> Int? {
        guard var end = run(of: .space, at: start) else { return nil }
        while end > start {
            if end == scalars.count || ScalarClassTable.shared[scalars[end].value] == .space {
                return end
            }
            end -= 1
        }
        return nil
    }
}
