// Added tokens in a text, and what the files beside a vocabulary say of them. The ids are those of transformers 5,
// which scripts/check-directories compares at length.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchProtocol
import TestSupport
import Testing

@Suite struct AddedTokenTests {
    /// 256 bytes, in the order of their characters, and the mark as 256.
    private static let vocabulary: String = {
        let tokens = SmallVocabulary.bytes + ["<|endoftext|>"]
        let members = tokens.enumerated().map { id, token in
            let spelling = token == "\"" || token == "\\" ? "\\" + token : token
            return "\"\(spelling)\": \(id)"
        }
        return "{" + members.joined(separator: ", ") + "}"
    }()

    /// The pair without merges, and other files beside it.
    private static func tokenizer(_ files: [String: String]) throws -> Tokenizer {
        let directory = try TemporaryDirectory()
        for (name, text) in ["vocab.json": vocabulary, "merges.txt": ""].merging(
            files, uniquingKeysWith: { $1 })
        {
            try directory.write(text, to: name)
        }
        return try Tokenizer(directory: directory.path)
    }

    private static func combined(_ added: String, _ changes: [String: String] = [:]) -> String {
        var text = """
            {"added_tokens": [\(added)], "normalizer": null,
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
            "post_processor": null, "decoder": null,
            "model": {"type": "BPE", "vocab": \(vocabulary), "merges": []}}
            """
        for (good, bad) in changes { text = text.replacing(good, with: bad) }
        return text
    }

    private static func bytes(_ text: String) -> [TokenID] { text.utf8.map { TokenID($0) } }

    private static func refusal(_ files: [String: String]) -> String? {
        let error = #expect(throws: TokenizerError.self) { try tokenizer(files) }
        return error?.description
    }

    @Test func tokensOfAddedTokensJSONAreFoundInAnyText() throws {
        let tokenizer = try Self.tokenizer(["added_tokens.json": #"{"<u>": 257}"#])
        #expect(tokenizer.vocabularySize == 258)
        #expect(tokenizer.unaddedCount == 257)
        #expect(
            tokenizer.tokenize("a<u>b<u") == Self.bytes("a") + [257] + Self.bytes("b<u"))
        #expect(try Array(tokenizer.bytes(of: 257)) == Array("<u>".utf8))
    }

    @Test func tokensWithARoleAreSpecial() throws {
        let tokenizer = try Self.tokenizer([
            "added_tokens.json": #"{"<u>": 257}"#,
            "special_tokens_map.json": #"{"eos_token": "<u>", "pad_token": {"content": "[P]"}}"#,
        ])
        let text = "a<u>[P]<|endoftext|>"
        #expect(tokenizer.tokenize(text) == Self.bytes(text))
        #expect(
            tokenizer.tokenize(text, parsingSpecialTokens: true)
                == Self.bytes("a") + [257, 258, 256])
    }

    /// The longest token at the leftmost place; a special one that is not asked for is passed over as a whole.
    @Test func theLongestTokenCounts() throws {
        let tokenizer = try Self.tokenizer([
            "tokenizer.json": Self.combined(
                #"""
                {"id": 257, "content": "<a", "normalized": false},
                {"id": 258, "content": "<a>", "special": true},
                {"id": 259, "content": "<a>b", "normalized": false}
                """#)
        ])
        let text = "<a>c<a>b<a"
        #expect(
            tokenizer.tokenize(text, parsingSpecialTokens: true)
                == [258] + Self.bytes("c") + [259, 257])
        let plain = try Self.tokenizer([
            "tokenizer.json": Self.combined(
                #"""
                {"id": 257, "content": "<a", "normalized": false},
                {"id": 258, "content": "<a>", "special": true, "normalized": false}
                """#)
        ])
        #expect(plain.tokenize("<a>c<a") == Self.bytes("<a>c") + [257])
    }

    @Test func spacesBelongToTokensThatStripThem() throws {
        let tokenizer = try Self.tokenizer([
            "tokenizer.json": Self.combined(
                #"""
                {"id": 257, "content": "<l>", "lstrip": true}, {"id": 258, "content": "<r>", "rstrip": true}
                """#)
        ])
        #expect(
            tokenizer.tokenize("a \u{3000}<l> b<r>\n\u{2028} <l>c")
                == Self.bytes("a") + [257] + Self.bytes(" b") + [258, 257] + Self.bytes("c"))
    }

    /// Spaces between two tokens are the first one's.
    ///
    /// A run of spaces is walked over once, not once for each token.
    @Test(.timeLimit(.minutes(2))) func aRunOfSpacesIsStrippedOnce() throws {
        func tokenizer(_ flags: String) throws -> Tokenizer {
            try Self.tokenizer([
                "tokenizer.json": Self.combined(#"{"id": 257, "content": " ", \#(flags)}"#)
            ])
        }
        let spaces = String(repeating: " ", count: 1 << 20)
        let both = try tokenizer(#""lstrip": true, "rstrip": true"#)
        // Counts, because a difference of a million ids would take minutes to print.
        #expect(both.tokenize("a" + spaces + "b").count == 3)
        let right = try tokenizer(#""rstrip": true"#)
        #expect(right.tokenize(spaces).count == 1 << 20)
        let left = try tokenizer(#""lstrip": true"#)
        #expect(left.tokenize(spaces).count == 1 << 20)
    }

    @Test func aPrefixSpaceIsPutBeforeTextThatHasNone() throws {
        let tokenizer = try Self.tokenizer([
            "tokenizer_config.json": #"{"add_prefix_space": true}"#
        ])
        #expect(tokenizer.tokenize("Hi") == Self.bytes(" Hi"))
        #expect(tokenizer.tokenize(" Hi") == Self.bytes(" Hi"))
        #expect(tokenizer.tokenize("\tHi") == Self.bytes(" \tHi"))
        #expect(tokenizer.tokenize("") == [])
        #expect(
            tokenizer.tokenize("a<|endoftext|>b", parsingSpecialTokens: true)
                == Self.bytes(" a") + [256] + Self.bytes(" b"))
    }

    @Test func bytesWithoutATokenAreLeftOut() throws {
        let small = #"{"a": 0, "c": 1, "ac": 2}"#
        let tokenizer = try Self.tokenizer(["vocab.json": small, "merges.txt": "a c\n"])
        #expect(tokenizer.tokenize("abc b acb") == [2, 2])
        #expect(tokenizer.tokenize("bbb") == [])
        let long = String(repeating: "ab", count: 100) + "c"
        #expect(tokenizer.tokenize(long) == Array(repeating: 0, count: 99) + [2])
    }

    @Test func templatesThatAddNothingAreTaken() throws {
        let template = #"""
            {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}], "pair": []}
            """#
        let tokenizer = try Self.tokenizer([
            "tokenizer.json": Self.combined(
                "", [#""post_processor": null"#: #""post_processor": \#(template)"#])
        ])
        #expect(tokenizer.tokenize("hi") == Self.bytes("hi"))
    }

    @Test func refusesWhatIsNotSupported() {
        #expect(
            Self.refusal(["added_tokens.json": #"{"<u>": 300}"#])?.hasPrefix(
                #"added_tokens.json: token "<u>".id: expected 257, the next id that is free, "#
                    + "found 300;") == true)
        // A message is one line, whatever a token is.
        #expect(
            Self.refusal(["added_tokens.json": #"{"a\nb": 300}"#])?.hasPrefix(
                #"added_tokens.json: token "a\nb".id: "#) == true)
        for (file, text, beginning) in [
            (
                "tokenizer_config.json", #"{"add_bos_token": true}"#,
                "add_bos_token: expected false, found true;"
            ),
            (
                "tokenizer_config.json", #"{"tokenizer_class": "LlamaTokenizer"}"#,
                "tokenizer_class: expected GPT2Tokenizer, GPT2TokenizerFast, "
                    + #"PreTrainedTokenizerFast or TokenizersBackend, found "LlamaTokenizer";"#
            ),
            (
                "config.json", #"{"tokenizer_class": "LlamaTokenizer"}"#,
                "tokenizer_class: expected GPT2Tokenizer, "
            ),
            (
                "tokenizer_config.json", #"{"image_token": "[I]"}"#,
                "image_token: expected no special token under a name of its own, "
            ),
            (
                "tokenizer_config.json", #"{"add_prefix_space": 1}"#,
                "add_prefix_space: expected true or false, found a number;"
            ),
            ("special_tokens_map.json", "[]", "document: expected a JSON object, found an array;"),
            ("special_tokens_map.json", "{", "document: expected a JSON object, found "),
            (
                "tokenizer_config.json", #"{"added_tokens_decoder": {"x": {"content": "a"}}}"#,
                #"added_tokens_decoder."x": expected an id as its key, "#
            ),
            (
                "tokenizer.json",
                Self.combined(#"{"id": 258, "content": "b!"}, {"id": 257, "content": "a!"}"#),
                "added_tokens[1].id: expected more than 258, found 257;"
            ),
            (
                "tokenizer.json",
                Self.combined(
                    "", [#""add_prefix_space": false"#: #""add_prefix_space": true"#]),
                "pre_tokenizer.add_prefix_space: expected false, as in tokenizer_config.json, "
                    + "found true;"
            ),
        ] {
            let found = Self.refusal([file: text])
            #expect(found?.hasPrefix("\(file): \(beginning)") == true, "\(found ?? "")")
        }
    }

    /// Two directories with different added tokens are different models.
    @Test func theDigestCoversAddedTokens() throws {
        func digest(_ files: [String: String]) throws -> String {
            var digest = ContentDigest()
            try Self.tokenizer(files).update(&digest)
            return digest.hexadecimal
        }
        let none = try digest([:])
        #expect(try digest(["tokenizer_config.json": #"{"model_max_length": 9}"#]) == none)
        #expect(try digest(["added_tokens.json": #"{"<u>": 257}"#]) != none)
        #expect(try digest(["tokenizer_config.json": #"{"add_prefix_space": true}"#]) != none)
    }
}
