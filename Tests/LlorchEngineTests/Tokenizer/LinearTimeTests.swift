// A prompt is tokenized in one go, so no text may take more than a time in proportion to it. Steps are counted
// instead of timed: a count is the same on every machine.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchProtocol
import Testing

@Suite struct LinearTimeTests {
    /// One piece each, or the longest pieces their characters allow.
    private static let units = [
        "a", " ", "\n", "😀", "1", "0123456789", "'", "!", "\u{301}", "\u{0}", "\u{A0}", "日",
        "'s't're",
        " a", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", String(repeating: "-", count: 63) + "=",
    ]

    /// Each byte is loaded, merged away and walked over once at most.
    @Test(arguments: units, [1 << 16, 1 << 20])
    func aTrainedVocabularyTakesThreeStepsAByte(unit: String, byteCount: Int) throws {
        let tokenizer = try GPT2Fixture.tokenizer()
        let text = String(repeating: unit, count: byteCount / unit.utf8.count)
        #expect(tokenizer.mergeSteps(of: text) <= 3 * text.utf8.count)
    }

    /// Without this the bounds would hold for a counter that stands still.
    @Test func stepsAreCounted() throws {
        let tokenizer = try GPT2Fixture.tokenizer()
        #expect(tokenizer.mergeSteps(of: String(repeating: "a", count: 1000)) >= 1000)
        #expect(tokenizer.mergeSteps(of: "a few short words") == 0)
    }

    @Test(arguments: UInt64(0)..<10)
    func randomWordsTakeThreeStepsAByte(seed: UInt64) throws {
        let tokenizer = try GPT2Fixture.tokenizer()
        var random = TextTests.Random(seed)
        let letters = Array(["abc", "etaoinshrdlu", "éñüабвгд日本語", "-=_"][Int(seed) % 4])
        let text = String(
            (0..<1 << 18).map { _ in letters.randomElement(using: &random) ?? "a" })
        #expect(tokenizer.mergeSteps(of: text) <= 3 * text.utf8.count)
    }

    /// Merges in any order, as only a file made by hand has them: n log n.
    @Test(arguments: UInt64(0)..<20)
    func anyVocabularyTakesTheLogarithmAtMost(seed: UInt64) throws {
        var random = TextTests.Random(seed)
        let vocabulary = SmallVocabulary(mergeCount: 60, isTrained: false, &random)
        let tokenizer = try Tokenizer(
            tokens: vocabulary.tokens, merges: vocabulary.merges.map { "\($0) \($1)" }, file: "-")
        let count = 1 << 16
        for letters in ["a", "ab", "abc"] {
            let text = String((0..<count).map { _ in letters.randomElement(using: &random) ?? "a" })
            // At most 3 pairs a byte enter the heap, which is 18 levels deep, and leave it.
            #expect(tokenizer.mergeSteps(of: text) <= count * (1 + 2 * 3 * 18))
        }
    }
}
