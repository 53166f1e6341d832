// Tokens of a GGUF file that are found in a text, and those that end an answer: llama.cpp's rules.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchProtocol
import TestSupport
import Testing

@Suite struct FoundTokenTests {
    private static let end = "<|endoftext|>"

    /// Special tokens are found where they are asked for, user-defined ones always.
    @Test func findsByKind() throws {
        let tokenizer = try tokenizer([
            (Self.end, 3), ("<user>", 4), ("<unk>", 2), ("[unused]", 5), ("<|im_end|>", 4),
            ("<|channel|>", 3),
        ])
        let text = "<user>\(Self.end)<unk>[unused]<|im_end|><|channel|>"
        let plain = tokenizer.tokenize(text)
        #expect(plain.filter { $0 > 255 } == [257, 261])
        #expect(try tokenizer.detokenize(plain) == Array(text.utf8))
        let special = try parsing(text, with: tokenizer)
        #expect(special.filter { $0 > 255 } == [257, 256, 258, 260, 261])
        #expect(special.count == 5 + "[unused]".count)
        #expect(try tokenizer.detokenize(special) == Array(text.utf8))
    }

    /// The longest token first, wherever it stands; not the first in the text.
    @Test func theLongestIsFoundFirst() throws {
        let tokenizer = try tokenizer([("ab", 4), ("bcd", 4), ("cdef", 4)])
        #expect(tokenizer.tokenize("abcd") == [97, 257])
        #expect(tokenizer.tokenize("abcdef") == [256, 258])
        #expect(tokenizer.tokenize("bcdbcdef ab") == [257, 98, 258, 32, 256])
        #expect(tokenizer.tokenize("abab") == [256, 256])
        #expect(tokenizer.tokenize("") == [])
        // Of equally long ones the lower id, also where the other begins first.
        let other = try self.tokenizer([("bcd", 4), ("abc", 4)])
        #expect(other.tokenize("abcd") == [97, 256])
        #expect(other.tokenize("abcabcd") == [257, 97, 256])
    }

    /// Against a search that does what the rule says, token by token.
    @Test(arguments: 0..<200 as Range<UInt64>) func findsAsTheRuleSays(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        func word(_ lengths: ClosedRange<Int>) -> String {
            let letters = (0..<Int.random(in: lengths, using: &random)).map { _ in
                ["a", "b", "é"][Int.random(in: 0...2, using: &random)]
            }
            return letters.joined()
        }
        let words = Set((0..<3).map { _ in word(1...4) }).sorted()
        let tokenizer = try tokenizer(words.map { ($0, 4) })
        let text = word(0...40)
        var parts = [Part(text: text, id: nil)]
        let longestFirst = zip(words, 256...).sorted { $0.0.utf8.count > $1.0.utf8.count }
        for (word, id) in longestFirst {
            var next: [Part] = []
            for part in parts {
                if part.id != nil {
                    next.append(part)
                    continue
                }
                let pieces = part.text.split(separator: word, omittingEmptySubsequences: false)
                for (index, piece) in pieces.enumerated() {
                    if index > 0 { next.append(Part(text: word, id: TokenID(id))) }
                    next.append(Part(text: String(piece), id: nil))
                }
            }
            parts = next
        }
        // Tokens of one length have no order among them; texts where it matters are left out.
        let lengths = words.map(\.utf8.count)
        guard Set(lengths).count == lengths.count else { return }
        var expected: [TokenID] = []
        for part in parts {
            if let id = part.id {
                expected.append(id)
            } else {
                expected += part.text.utf8.map { TokenID($0) }
            }
        }
        let found = tokenizer.tokenize(text).map { $0 > 255 ? $0 : byte(of: $0, tokenizer) }
        #expect(found == expected, "seed \(seed): \(words) in \(text)")
    }

    private struct Part {
        var text: String
        var id: TokenID?
    }

    @Test func refusesATokenThatIsTooLongToBeFound() throws {
        _ = try tokenizer([(String(repeating: "x", count: 256), 3)])
        let error = #expect(throws: ModelFileError.self) {
            try tokenizer([(String(repeating: "x", count: 257), 3)])
        }
        #expect(error?.problem.contains("token 256 has 257 bytes") == true)
    }

    // MARK: - Ends

    struct End: Sendable, CustomTestStringConvertible {
        var tokens: [String]
        var keys: [String: UInt32]
        var ends: [Int]
        var testDescription: String { "\(tokens) \(keys)" }
    }

    static let ends = [
        End(tokens: [end], keys: ["eos": 256], ends: [256]),
        // llama.cpp's own default, where the file names none.
        End(tokens: [end], keys: [:], ends: [11, 256]),
        End(tokens: ["x"], keys: ["eos": 256, "eot": 7, "eom": 9], ends: [7, 9, 256]),
        End(tokens: [end, "<|im_end|>"], keys: ["eos": 256], ends: [256, 257]),
        End(tokens: [end, "[PAD]", "</s>"], keys: ["eos": 256], ends: [256, 257, 258]),
        End(tokens: [end, "<PAD>", "f"], keys: ["eos": 256, "fim_pad": 258], ends: [256, 258]),
        End(
            tokens: [end, "<|file_sep|>", "<REPO>", "<PRE>"], keys: ["eos": 256],
            ends: [256, 257, 258]),
        End(
            tokens: [end, "<|end|>", "<|return|>", "<|call|>"], keys: ["eos": 256],
            ends: [256, 258, 259]),
        End(tokens: [end, "<|end|>", "<|call|>"], keys: ["eos": 256], ends: [256, 257, 258]),
        End(tokens: [end, "</s>", "<|tool_response>"], keys: ["eos": 256], ends: [256, 258]),
    ]

    @Test(arguments: ends) func endsWhereLlamaDoes(_ given: End) throws {
        var file = WrittenGGUF(
            ModelWriter(
                GPT2Configuration(
                    vocabularySize: 256 + given.tokens.count, contextLength: 2, hiddenSize: 2,
                    layerCount: 1, headCount: 1)))
        file.addTokenizer(
            tokens: SmallVocabulary.bytes + given.tokens, merges: [],
            kinds: Array(repeating: 1, count: 256) + given.tokens.map { _ in 3 })
        for (key, id) in given.keys { file["tokenizer.ggml.\(key)_token_id"] = .uint32(id) }
        let directory = try TemporaryDirectory()
        let path = try directory.write(file.bytes, to: "m.gguf")
        #expect(try GGUFFile(path: path).configuration().endOfText == given.ends)
    }

    // MARK: - Steps

    private func tokenizer(_ added: [(String, Int32)]) throws -> Tokenizer {
        var file = WrittenGGUF()
        file.addTokenizer(
            tokens: SmallVocabulary.bytes + added.map(\.0), merges: [],
            kinds: Array(repeating: 1, count: 256) + added.map(\.1))
        let directory = try TemporaryDirectory()
        return try Tokenizer(model: directory.write(file.bytes, to: "m.gguf"))
    }

    private func parsing(_ text: String, with tokenizer: Tokenizer) throws -> [TokenID] {
        let bytes = Array(text.utf8)
        return try tokenizer.tokenize(bytes: bytes.span, parsingSpecialTokens: true)
    }

    private func byte(of id: TokenID, _ tokenizer: Tokenizer) -> TokenID {
        (try? tokenizer.bytes(of: id).first).flatMap { $0 }.map { TokenID($0) } ?? id
    }
}
