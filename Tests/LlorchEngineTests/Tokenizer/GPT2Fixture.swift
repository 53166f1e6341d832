// GPT-2's vocabulary and tiktoken's ids for it, and random text; shared by the tests of text.
// SPDX-License-Identifier: Apache-2.0

import Foundation
import LlorchEngine
import LlorchJSON
import LlorchProtocol
import Testing

enum GPT2Fixture {
    static let directory = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../Fixtures/gpt2-tokenizer").standardizedFileURL.path

    private static let loaded = Result { try Tokenizer(directory: directory) }

    static func tokenizer() throws -> Tokenizer {
        try loaded.get()
    }

    static func file(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(filePath: "\(directory)/\(name)")))
    }

    /// `golden.json`, which scripts/export-tokenizer-golden makes.
    static func golden() throws -> JSONObject {
        let limits = StrictJSON.Limits.file(maximumBytes: 1 << 20)
        return try #require(StrictJSON.parse(file("golden.json"), limits: limits).asObject)
    }
}

/// Namespace of what the tests of tokenizer, pieces and sampler share.
enum TextTests {
    /// Steele, Lea and Flood's SplitMix64: a test prints its seed, and the seed is all there is.
    struct Random: RandomNumberGenerator {
        var state: UInt64

        init(_ seed: UInt64) { state = seed }

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
            return mixed ^ mixed >> 31
        }

        /// Fragments that GPT-2's pattern treats each in its own way, and any scalar at all.
        mutating func text(fragments count: Int) -> String {
            var text = String.UnicodeScalarView()
            for _ in 0..<count {
                if UInt8.random(in: 0..<4, using: &self) == 0 {
                    let value = UInt32.random(in: 0..<0x11_0000, using: &self)
                    text.append(Unicode.Scalar(value) ?? "\u{FFFD}")
                } else {
                    let fragment = Self.fragments.randomElement(using: &self) ?? ""
                    text.append(contentsOf: fragment.unicodeScalars)
                }
            }
            return String(text)
        }

        private static let fragments = [
            " ", " ", "  ", "\n", "\r\n", "\t", "\u{A0}", "\u{3000}", "\u{85}", "\u{2028}",
            "\u{1C}",
            "'", "'s", "'S", "'t", "'re", "'ve", "'m", "'ll", "'d", "'r", "a", "Z", "the", " and",
            "é", "e\u{301}", "日", "本語", "ー", "1", "42", "²", "½", "Ⅷ", "٣", "!", "?!", "_", "-",
            "😀", "👩‍👧", "🇪🇺", "\u{0}", "\u{200B}", "\u{FEFF}", "<|endoftext|>", "aaaaaaaa",
        ]
    }

    /// FNV-1a, 64 bits, over 32-bit units, as golden.json has it.
    static func digest(_ values: some Sequence<UInt32>) -> String {
        var digest: UInt64 = 0xCBF2_9CE4_8422_2325
        for value in values {
            digest = (digest ^ UInt64(value)) &* 0x100_0000_01B3
        }
        let digits = String(digest, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
