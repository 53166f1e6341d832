// Streamed text is whole characters, and all of them, however the bytes are spread over tokens.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchProtocol
import Testing

@Suite struct StreamingDetokenizerTests {
    /// Each byte is a token, so that every split of a character occurs.
    private static let bytes = Result {
        try Tokenizer(tokens: SmallVocabulary.bytes, merges: [], file: "-")
    }

    @Test(arguments: UInt64(0)..<100)
    func wholeCharactersOnlyAndNoneMissing(seed: UInt64) throws {
        var random = TextTests.Random(seed)
        let text = random.text(fragments: 30)
        for tokenizer in [try GPT2Fixture.tokenizer(), try Self.bytes.get()] {
            var stream = StreamingDetokenizer(tokenizer)
            var streamed: [UInt8] = []
            for token in tokenizer.tokenize(text) {
                let before = streamed.count
                try stream.append(token, to: &streamed)
                #expect(String(validating: streamed[before...], as: UTF8.self) != nil)
            }
            stream.finish()
            #expect(streamed == Array(text.utf8))
        }
    }

    /// The standard library replaces each run that is no character by U+FFFD; these runs are what
    /// must be left out, without a stall and without loss of what follows.
    @Test(arguments: UInt64(0)..<300)
    func bytesThatAreNoCharacterAreLeftOut(seed: UInt64) throws {
        var random = TextTests.Random(seed)
        let likely: [UInt8] = [
            0x41, 0x80, 0xBF, 0xC1, 0xC3, 0xE0, 0xE2, 0xED, 0xF0, 0xF4, 0xF5, 0x9F,
        ]
        let bytes = (0..<60).map { _ in
            Bool.random(using: &random)
                ? likely.randomElement(using: &random) ?? 0
                : UInt8.random(in: 0...255, using: &random)
        }
        let repaired = String(decoding: bytes, as: UTF8.self)
        let kept = repaired.unicodeScalars.filter { $0 != "\u{FFFD}" }
        var stream = StreamingDetokenizer(try Self.bytes.get())
        var streamed: [UInt8] = []
        for byte in bytes {
            // Token ids of this vocabulary are the bytes.
            try stream.append(TokenID(byte), to: &streamed)
        }
        stream.finish()
        var expected = String.UnicodeScalarView()
        expected.append(contentsOf: kept)
        #expect(streamed == Array(String(expected).utf8), "\(bytes)")
    }

    @Test func aReplacementCharacterOfTheModelStays() throws {
        var stream = StreamingDetokenizer(try Self.bytes.get())
        var text: [UInt8] = []
        for byte in "a\u{FFFD}b".utf8 { try stream.append(TokenID(byte), to: &text) }
        #expect(text == Array("a\u{FFFD}b".utf8))
    }

    @Test func finishForgetsAnUnfinishedCharacter() throws {
        var stream = StreamingDetokenizer(try Self.bytes.get())
        var text: [UInt8] = []
        for byte: TokenID in [0xF0, 0x9F, 0x98] { try stream.append(byte, to: &text) }
        stream.finish()
        try stream.append(0x80, to: &text)
        #expect(text.isEmpty)
    }
}
