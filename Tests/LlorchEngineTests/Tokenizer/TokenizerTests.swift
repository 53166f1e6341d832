// The tokenizer against tiktoken's ids and against itself backwards.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchJSON
import LlorchProtocol
import Testing

@Suite struct TokenizerTests {
    @Test func tokenizesAsTiktokenDoes() throws {
        let tokenizer = try GPT2Fixture.tokenizer()
        let cases = try #require(try GPT2Fixture.golden()["cases"]?.asArray)
        #expect(cases.count >= 30)
        for golden in cases {
            let text = try #require(golden.asObject?["text"]?.asString)
            let ids = try #require(golden.asObject?["ids"]?.asArray)
                .map { try TokenID(#require($0.asNumber?.asUInt64)) }
            #expect(tokenizer.tokenize(text) == ids, "\(text.debugDescription)")
        }
    }

    @Test func everyScalarInOrder() throws {
        let tokenizer = try GPT2Fixture.tokenizer()
        let golden = try #require(try GPT2Fixture.golden()["every_scalar"]?.asObject)
        var every = String.UnicodeScalarView()
        for value in UInt32(0)..<0x11_0000 {
            if let scalar = Unicode.Scalar(value) { every.append(scalar) }
        }
        let ids = tokenizer.tokenize(String(every))
        #expect(golden["count"]?.asNumber?.asUInt64 == UInt64(ids.count))
        #expect(golden["fnv"]?.asString == TextTests.digest(ids))
    }

    @Test(arguments: UInt64(0)..<200)
    func roundTrip(seed: UInt64) throws {
        let tokenizer = try GPT2Fixture.tokenizer()
        var random = TextTests.Random(seed)
        let text = random.text(fragments: 60)
        let ids = tokenizer.tokenize(text)
        #expect(try tokenizer.detokenize(ids) == Array(text.utf8))
        #expect(try tokenizer.tokenize(bytes: Array(text.utf8).span) == ids)
    }

    @Test func factsOfTheVocabulary() throws {
        let tokenizer = try GPT2Fixture.tokenizer()
        #expect(tokenizer.vocabularySize == 50_257)
        #expect(tokenizer.endOfText == 50_256)
        #expect(try Array(tokenizer.bytes(of: 995)) == Array(" world".utf8))
        #expect(!tokenizer.tokenize("a<|endoftext|>").contains(50_256))
    }

    /// GPT-2 cuts cleanly where a word begins, so texts tokenize apart as together.
    @Test(arguments: UInt64(0)..<50)
    func wordsTokenizeApart(seed: UInt64) throws {
        let tokenizer = try GPT2Fixture.tokenizer()
        var random = TextTests.Random(seed)
        let words = (0..<20).map { _ in
            " "
                + String(
                    (0..<Int.random(in: 1...90, using: &random)).map { _ in
                        "etaoinshrdlu".randomElement(using: &random) ?? "e"
                    })
        }
        #expect(tokenizer.tokenize(words.joined()) == words.flatMap { tokenizer.tokenize($0) })
    }

    @Test func refusesWhatIsNotThere() throws {
        let tokenizer = try GPT2Fixture.tokenizer()
        #expect(throws: TokenizerError.unknownToken(50_257, vocabularySize: 50_257)) {
            try tokenizer.detokenize([0, 50_257])
        }
        #expect(throws: TokenizerError.unknownToken(.max, vocabularySize: 50_257)) {
            try tokenizer.bytes(of: .max)
        }
        for invalid: [UInt8] in [[0x61, 0x80], [0x61, 0xF0, 0x9F], [0x61, 0xED, 0xA0, 0x80]] {
            #expect(throws: TokenizerError.invalidUTF8(byteOffset: 1)) {
                try tokenizer.tokenize(bytes: invalid.span)
            }
        }
    }

    /// Eight times the text takes about eight times the steps of merging; a merge that looked at all pairs again would
    /// take sixty-four times as many.
    @Test(arguments: ["a", " ", "😀", "!", "\n", "abcdefghij", "日本"])
    func aMebibyteOfOneThing(unit: String) throws {
        let tokenizer = try GPT2Fixture.tokenizer()
        func steps(forBytes size: Int) throws -> Int {
            let text = String(repeating: unit, count: size / unit.utf8.count)
            #expect(try tokenizer.detokenize(tokenizer.tokenize(text)) == Array(text.utf8))
            return tokenizer.mergeSteps(of: text)
        }
        let short = try steps(forBytes: Self.hostileSize / 8)
        #expect(try steps(forBytes: Self.hostileSize) <= 9 * short)
    }

    /// A debug build is some twenty times slower.
    #if DEBUG
    private static let hostileSize = 1 << 17
    #else
    private static let hostileSize = 1 << 20
    #endif
}
