// The end mark in a text: text like any other, or the token, as its reader asks.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchProtocol
import Testing

@Suite struct SpecialTokenTests {
    static func ids(_ text: String, parsing: Bool = true) throws -> [TokenID] {
        try GPT2Fixture.tokenizer().tokenize(
            bytes: Array(text.utf8).span, parsingSpecialTokens: parsing)
    }

    @Test func theMarkIsATokenAndTextsBesideItAreTheirOwn() throws {
        let end: TokenID = 50256
        let tokenizer = try GPT2Fixture.tokenizer()
        let (one, two) = (tokenizer.tokenize("one\n"), tokenizer.tokenize(" two"))
        #expect(try Self.ids("<|endoftext|>") == [end])
        #expect(try Self.ids("one\n<|endoftext|> two") == one + [end] + two)
        #expect(
            try Self.ids("<|endoftext|>one\n<|endoftext|><|endoftext|>") == [end] + one + [
                end, end,
            ])
        // The beginning of a mark inside what looked like one.
        #expect(
            try Self.ids("<|endof<|endoftext|> two")
                == tokenizer.tokenize("<|endof") + [end] + two)
        #expect(try Self.ids("") == [])
    }

    @Test func withoutAskingItIsText() throws {
        let tokenizer = try GPT2Fixture.tokenizer()
        for text in ["<|endoftext|>", "one<|endoftext|>two"] {
            #expect(try Self.ids(text, parsing: false) == tokenizer.tokenize(text))
            #expect(try !Self.ids(text, parsing: false).contains(50256))
        }
        for text in ["<|endoftext|", "<|endoftext>", "< |endoftext|>"] {
            #expect(try Self.ids(text) == tokenizer.tokenize(text))
        }
    }

    @Test func invalidBytesAreCountedFromTheBeginning() throws {
        let bytes = Array("ab<|endoftext|>c".utf8) + [0xFF]
        let tokenizer = try GPT2Fixture.tokenizer()
        #expect(throws: TokenizerError.invalidUTF8(byteOffset: 16)) {
            try tokenizer.tokenize(bytes: bytes.span, parsingSpecialTokens: true)
        }
    }
}
