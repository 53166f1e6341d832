// The tokenizer inside a GGUF file gives the ids of vocab.json and merges.txt.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchJSON
import LlorchProtocol
import TestSupport
import Testing

struct GGUFVocabularyTests {
    /// GPT-2's whole vocabulary, as llama.cpp converts it, over random text.
    @Test func givesTheIdsOfTheFilesItWasMadeFrom() throws {
        let limits = StrictJSON.Limits.file(maximumBytes: 4 << 20)
        let members = try #require(
            StrictJSON.parse(GPT2Fixture.file("vocab.json"), limits: limits).asObject)
        var tokens = [String](repeating: "", count: members.count)
        for (spelling, id) in members.members {
            tokens[Int(try #require(id.asNumber?.asUInt64))] = spelling
        }
        let lines = String(decoding: try GPT2Fixture.file("merges.txt"), as: UTF8.self)
            .split(separator: "\n").dropFirst().map { String($0) }
        var kinds = [Int32](repeating: 1, count: tokens.count)
        kinds[50_256] = 3
        // Ids that only the token table has.
        tokens += ["[PAD50257]", "[PAD50258]"]
        kinds += [5, 5]
        let found = try tokenizer(tokens: tokens, merges: lines, kinds: kinds)
        let expected = try GPT2Fixture.tokenizer()
        #expect(found.vocabularySize == expected.vocabularySize)
        #expect(found.endOfText == 50_256)
        for seed in 0..<200 as Range<UInt64> {
            var random = TextTests.Random(seed)
            let text = random.text(fragments: 60)
            let ids = expected.tokenize(text)
            #expect(found.tokenize(text) == ids, "seed \(seed)")
            #expect(try found.detokenize(ids) == Array(text.utf8), "seed \(seed)")
        }
        // The negative twin: the merges in the wrong order.
        let other = try tokenizer(tokens: tokens, merges: lines.reversed(), kinds: kinds)
        let text = " the weather"
        #expect(other.tokenize(text) != found.tokenize(text))
    }

    @Test func takesPlainTextAsItIs() throws {
        let tokens = SmallVocabulary.bytes + ["<a b>", "日"]
        let kinds = [Int32](repeating: 1, count: 256) + [3, 4]
        let found = try tokenizer(tokens: tokens, merges: [], kinds: kinds)
        #expect(try Array(found.bytes(of: 256)) == Array("<a b>".utf8))
        #expect(try Array(found.bytes(of: 257)) == Array("日".utf8))
        #expect(throws: TokenizerError.self) { try tokenizer(tokens: tokens, merges: []) }
        let plain = try tokenizer(tokens: SmallVocabulary.bytes, merges: [])
        #expect(plain.vocabularySize == 256)
    }

    @Test(arguments: refusals) func refuses(_ refusal: Refusal) throws {
        var file = WrittenGGUF()
        file.addTokenizer(
            tokens: SmallVocabulary.bytes + ["ab"], merges: ["a b"],
            kinds: Array(repeating: 1, count: 257))
        _ = try tokenizer(file)
        refusal.damage(&file)
        do {
            _ = try tokenizer(file)
            Issue.record("accepted")
        } catch let error as ModelFileError {
            #expect(error.description == error.path + ": " + refusal.sentence)
        } catch let error as TokenizerError {
            #expect(error.description.hasSuffix("m.gguf: " + refusal.sentence))
        }
    }

    /// llama.cpp's other names for GPT-2's pattern.
    @Test(
        arguments: [
            "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "mellum", "modern-bert",
            "exaone4",
            "mpt", "olmo", "jais", "trillion", "granite-docling", "a.x-4.0", "roberta-bpe",
            "jina-v2-code",
        ])
    func knowsAllNamesOfThePattern(name: String) throws {
        var file = WrittenGGUF()
        file.addTokenizer(tokens: SmallVocabulary.bytes + ["ab"], merges: ["a b"])
        let text = "it's  ab,12"
        let expected = try tokenizer(file).tokenize(text)
        file["tokenizer.ggml.pre"] = .string(name)
        // Neither changes the ids of a byte-level BPE in llama.cpp.
        file["tokenizer.ggml.add_space_prefix"] = .bool(1)
        file["tokenizer.ggml.remove_extra_whitespaces"] = .bool(1)
        #expect(try tokenizer(file).tokenize(text) == expected)
    }

    private static let again = "; convert the model again with llama.cpp's convert_hf_to_gguf.py"
    private static let other = "; take a GGUF file that was converted from a GPT-2"

    static let refusals = [
        Refusal("tokenizer.ggml.model is missing: the file has no tokenizer" + again) {
            $0["tokenizer.ggml.model"] = nil
        },
        Refusal("tokenizer.ggml.tokens is missing: the file has no tokenizer" + again) {
            $0["tokenizer.ggml.tokens"] = nil
        },
        Refusal("tokenizer.ggml.merges is missing: the file has no tokenizer" + again) {
            $0["tokenizer.ggml.merges"] = nil
        },
        Refusal("tokenizer.ggml.model must be 'gpt2', found 'llama'" + again) {
            $0["tokenizer.ggml.model"] = .string("llama")
        },
        Refusal(
            "tokenizer.ggml.pre must be 'gpt-2', found 'default'; it cuts text in another way than "
                + "GPT-2 does"
        ) { $0["tokenizer.ggml.pre"] = .string("default") },
        Refusal(
            "tokenizer.ggml.pre must be 'gpt-2', found 'qwen2'; it is none of the names that llama.cpp "
                + "has for GPT-2's way to cut text"
        ) { $0["tokenizer.ggml.pre"] = .string("qwen2") },
        Refusal(
            "tokenizer.ggml.pre is missing, expected 'gpt-2': llama.cpp cuts the texts of such a file "
                + "in another way than GPT-2 does; if it is a GPT-2, say so with the script of the "
                + "Python package gguf: gguf-new-metadata --pre-tokenizer gpt-2 FILE NEW_FILE"
        ) { $0["tokenizer.ggml.pre"] = nil },
        Refusal(
            "tokenizer.ggml.pre 'roberta-bpe' and tokenizer.ggml.seperator_token_id add a separator "
                + "to a prompt; GPT-2's tokenizer adds nothing to a text; set "
                + "tokenizer.ggml.add_sep_token to false"
        ) {
            $0["tokenizer.ggml.pre"] = .string("roberta-bpe")
            $0["tokenizer.ggml.seperator_token_id"] = .uint32(3)
        },
        Refusal(
            "tokenizer.ggml.add_sep_token must be false, found true; GPT-2's tokenizer adds nothing "
                + "to a text"
        ) { $0["tokenizer.ggml.add_sep_token"] = .bool(1) },
        Refusal(
            "tokenizer.ggml.suppress_tokens must be empty, found 1 elements; every token of the "
                + "tokenizer can be generated here"
        ) { $0["tokenizer.ggml.suppress_tokens"] = .array(5, [.int32(1)]) },
        Refusal(
            "tokenizer.ggml.add_bos_token must be false, found true; GPT-2's tokenizer adds nothing "
                + "to a text"
        ) { $0["tokenizer.ggml.add_bos_token"] = .bool(1) },
        Refusal("tokenizer.ggml.token_type has 1 elements for 257 tokens") {
            $0["tokenizer.ggml.token_type"] = .array(5, [.int32(1)])
        },
        Refusal("tokenizer.ggml.token_type of token 256 must be 1 to 5, found 6" + again) {
            $0["tokenizer.ggml.token_type"] = .array(
                5, (0..<257).map { .int32($0 == 256 ? 6 : 1) })
        },
        Refusal(
            "token 256: expected one or more characters of GPT-2's alphabet of bytes, found "
                + "\"日\"" + other
        ) { $0["tokenizer.ggml.tokens"] = .strings(SmallVocabulary.bytes + ["日"]) },
        Refusal(
            "merge 0: expected two tokens with one space between them, found something else"
                + other
        ) { $0["tokenizer.ggml.merges"] = .strings(["ab"]) },
    ]

    private func tokenizer(
        tokens: [String], merges: [String], kinds: [Int32]? = nil
    ) throws -> Tokenizer {
        var file = WrittenGGUF()
        file.addTokenizer(tokens: tokens, merges: merges, kinds: kinds)
        return try tokenizer(file)
    }

    private func tokenizer(_ file: WrittenGGUF) throws -> Tokenizer {
        let directory = try TemporaryDirectory()
        return try Tokenizer(model: directory.write(file.bytes, to: "m.gguf"))
    }
}
