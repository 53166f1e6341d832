// Vocabularies as files: the forms that are the same, and the ones that are refused by name.
// SPDX-License-Identifier: Apache-2.0

import Foundation
import LlorchEngine
import LlorchProtocol
import TestSupport
import Testing

@Suite struct TokenizerFilesTests {
    private static let texts = ["aab caabb", "x<|endoftext|>", "日本"]

    @Test(arguments: [false, true])
    func tokenizerJSONIsTheSameTokenizer(mergesAsPairs: Bool) throws {
        let expected = try Tokenizer(
            vocabularyJSON: Array(Self.vocabulary.utf8),
            merges: Array("#version: 0.2\na a\naa b\n".utf8))
        let pairs = [#"["a a", "aa b"]"#: #"[["a", "a"], ["aa", "b"]]"#]
        let found = try Self.tokenizer(mergesAsPairs ? pairs : [:])
        for text in Self.texts {
            #expect(found.tokenize(text) == expected.tokenize(text))
        }
        #expect(found.endOfText == expected.endOfText)
        #expect(found.vocabularySize == 259)
        #expect(found.tokenize("aab") == [257])
    }

    @Test func specialTokensBeyondTheVocabularyAreIdsButNotText() throws {
        let added = #"{"id": 259, "content": "[é]", "special": true}"#
        let tokenizer = try Self.tokenizer([#""added_tokens": ["#: #""added_tokens": [\#(added), "#]
        )
        #expect(tokenizer.vocabularySize == 260)
        #expect(try Array(tokenizer.bytes(of: 259)) == Array("[é]".utf8))
        #expect(!tokenizer.tokenize("[é]").contains(259))
        #expect(tokenizer.tokenize("a[é]", parsingSpecialTokens: true).last == 259)
    }

    /// What is replaced in a good tokenizer.json, by what, and the field the error must name.
    private static let refusals: [(String, String, String)] = [
        (#""model": {"#, #""model": 1, "m": {"#, "model"),
        (#""type": "BPE""#, #""type": "WordPiece""#, "model.type"),
        (#""dropout": null"#, #""dropout": 0.1"#, "model.dropout"),
        (
            #""end_of_word_suffix": """#, #""end_of_word_suffix": "</w>""#,
            "model.end_of_word_suffix"
        ),
        (#""ignore_merges": false"#, #""ignore_merges": true"#, "model.ignore_merges"),
        (#""byte_fallback": false"#, #""byte_fallback": true"#, "model.byte_fallback"),
        (#""normalizer": null"#, #""normalizer": {"type": "NFC"}"#, "normalizer"),
        (
            #""pre_tokenizer": {"type": "ByteLevel""#, #""pre_tokenizer": {"type": "Whitespace""#,
            "pre_tokenizer.type"
        ),
        (
            #""add_prefix_space": false"#, #""add_prefix_space": true"#,
            "pre_tokenizer.add_prefix_space"
        ),
        (#""use_regex": true"#, #""use_regex": false"#, "pre_tokenizer.use_regex"),
        (
            #""post_processor": null"#, #""post_processor": {"type": "TemplateProcessing"}"#,
            "post_processor.single"
        ),
        (
            #""post_processor": null"#, #""post_processor": {"type": "RobertaProcessing"}"#,
            "post_processor.type"
        ),
        (#""a a", "aa b""#, #""a a", 7"#, "model.merges[1]"),
        (#""a a", "aa b""#, #""a a", "aa  b""#, "model.merges[1]"),
        (#""a a", "aa b""#, #""a a", "b b""#, "merge 1"),
        (#""a a", "aa b""#, #""a a", "a a""#, "merge 1"),
        (#""a a", "aa b""#, #""a a", "あ b""#, "model.merges[1]"),
        (#""aab": 257"#, #""aab": 256"#, "token ids"),
        (#""aab": 257"#, #""aab": 1048575"#, "token ids"),
        (#""aab": 257"#, #""aab": -1"#, "model.vocab: a token's id"),
        (#""aab": 257"#, #""aab": 257.0"#, "model.vocab: a token's id"),
        (#""aab": 257"#, #""a b": 257"#, "merge 1"),
        (#""aab": 257"#, #""": 257"#, "token 257"),
        (#"{"id": 258, "content""#, #"{"id": 257, "content""#, "added_tokens[0].id"),
        (#""special": true"#, #""single_word": true"#, "added_tokens[0].single_word"),
        (#""special": true"#, #""special": 1"#, "added_tokens[0].special"),
        (#"{"id": 258, "content""#, #"{"id": 258, "text""#, "added_tokens[0].content"),
        (#"{"id": 258"#, #"{"id": "258""#, "added_tokens[0].id"),
        (#""model""#, #""model": null, "model""#, "document"),
    ]

    @Test func refusesWhatGPT2DoesNotDo() throws {
        for (good, bad, field) in Self.refusals {
            let error = #expect(throws: TokenizerError.self, "\(bad)") {
                try Self.tokenizer([good: bad])
            }
            guard case .invalidFile(let file, let found, _, _, _) = error else {
                Issue.record("\(bad): \(String(describing: error))")
                continue
            }
            #expect(file == "tokenizer.json")
            #expect(found == field, "\(bad)")
        }
    }

    @Test func refusesOtherMerges() throws {
        for bad in ["a", "a a a", " a a", "a  a", "#version\n#version", "a a\n\u{FFFD}"] {
            let error = #expect(throws: TokenizerError.self, "\(bad)") {
                try Tokenizer(vocabularyJSON: Array(Self.vocabulary.utf8), merges: Array(bad.utf8))
            }
            guard case .invalidFile("merges.txt", _, _, _, _) = error else {
                Issue.record("\(bad): \(String(describing: error))")
                continue
            }
        }
        #expect(throws: TokenizerError.self) {
            try Tokenizer(vocabularyJSON: Array(Self.vocabulary.utf8), merges: [0x61, 0x20, 0xFF])
        }
    }

    @Test func anErrorSaysWhereWhatAndWhatToDo() throws {
        let error = #expect(throws: TokenizerError.self) {
            try Self.tokenizer([#""type": "BPE""#: #""type": "Unigram""#])
        }
        #expect(
            error?.description
                == "tokenizer.json: model.type: expected BPE, found \"Unigram\"; use GPT-2's vocab.json"
                + " and merges.txt, or a tokenizer.json made from them")
    }

    @Test func directoriesHoldEitherForm() throws {
        let directory = FileManager.default.temporaryDirectory
            .appending(path: "llorch-tokenizer-\(UInt64.random(in: 0...UInt64.max))")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        func write(_ text: String, _ name: String) throws {
            try Data(text.utf8).write(to: directory.appending(path: name))
        }
        #expect(throws: TokenizerError.self) { try Tokenizer(directory: directory.path) }
        try write(Self.json, "tokenizer.json")
        #expect(try Tokenizer(directory: directory.path).tokenize("aab") == [257])
        try write(Self.vocabulary, "vocab.json")
        try write("a a", "merges.txt")
        #expect(try Tokenizer(directory: directory.path + "/").tokenize("aab") == [257])
        try FileManager.default.removeItem(at: directory.appending(path: "tokenizer.json"))
        #expect(try Tokenizer(directory: directory.path).tokenize("aab").count == 2)
        try FileManager.default.removeItem(at: directory.appending(path: "merges.txt"))
        try FileManager.default.createDirectory(
            at: directory.appending(path: "merges.txt"), withIntermediateDirectories: true)
        let error = #expect(throws: TokenizerError.self) {
            try Tokenizer(directory: directory.path)
        }
        #expect(error?.description.hasSuffix("merges.txt: it is not a regular file") == true)
    }

    /// transformers takes tokenizer.json where it is there.
    @Test func findsTokenizerJSONFirst() throws {
        let directory = try TemporaryDirectory()
        try directory.write("{1", to: "vocab.json")
        try directory.write("a b", to: "merges.txt")
        #expect(
            try TokenizerFiles(directory: directory.path).form
                == .vocabularyAndMerges(vocabulary: Array("{1".utf8), merges: Array("a b".utf8)))
        try directory.write("{}", to: "tokenizer.json")
        #expect(try TokenizerFiles(directory: directory.path).form == .combined(Array("{}".utf8)))
        try directory.remove("tokenizer.json")
        try directory.remove("merges.txt")
        let error = #expect(throws: TokenizerError.self) {
            try TokenizerFiles(directory: directory.path)
        }
        #expect(
            error?.description
                == "\(directory.path): must have vocab.json and merges.txt, or tokenizer.json, "
                + "found vocab.json only; copy the tokenizer files that came with the model there")
    }

    /// 256 bytes, "aa", "aab" and the end mark.
    private static let vocabulary: String = {
        let tokens = SmallVocabulary.bytes + ["aa", "aab", "<|endoftext|>"]
        let members = tokens.enumerated().map { id, token in
            let spelling = token == "\"" || token == "\\" ? "\\" + token : token
            return "\"\(spelling)\": \(id)"
        }
        return "{" + members.joined(separator: ", ") + "}"
    }()

    private static let json = """
        {"version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [{"id": 258, "content": "<|endoftext|>", "special": true}],
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
        "post_processor": null, "decoder": {"type": "ByteLevel", "add_prefix_space": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "byte_fallback": false,
        "continuing_subword_prefix": "", "end_of_word_suffix": "", "ignore_merges": false,
        "vocab": \(vocabulary), "merges": ["a a", "aa b"]}}
        """

    private static func tokenizer(_ replacements: [String: String]) throws -> Tokenizer {
        var text = json
        for (good, bad) in replacements {
            let changed = text.replacing(good, with: bad)
            try #require(changed != text, "\(good) is not in the file")
            text = changed
        }
        return try Tokenizer(tokenizerJSON: Array(text.utf8))
    }
}
