// The sampler against a reading of the contract that sorts everything, in double precision.
// SPDX-License-Identifier: Apache-2.0

import Foundation
import LlorchEngine
import Testing

@Suite struct SamplerTests {
    private static func sample(
        _ logits: [Float], _ settings: SamplingSettings, seed: UInt64 = 0, after ids: [UInt32] = []
    ) throws -> UInt32 {
        var sampler = Sampler(vocabularySize: logits.count)
        sampler.start(settings, seed: seed)
        for id in ids { sampler.append(id) }
        return try sampler.sample(logits.span)
    }

    /// Exact sixteenths, so that ties occur; about as far apart as GPT-2's.
    private static func logits(_ count: Int, _ random: inout TextTests.Random) -> [Float] {
        (0..<count).map { _ in Float(Int.random(in: -160...80, using: &random)) / 16 }
    }

    @Test(arguments: UInt64(0)..<400)
    func choosesAsTheContractSays(seed: UInt64) throws {
        var random = TextTests.Random(seed)
        let count = Int.random(in: 1...300, using: &random)
        let logits = Self.logits(count, &random)
        let settings = SamplingSettings(
            temperature: [0, 5e-7, 0.3, 0.8, 1, 2].randomElement(using: &random) ?? 1,
            topK: [0, 1, 2, 7, 40, 299, 300, 1 << 31].randomElement(using: &random) ?? 0,
            topP: [0, 0.1, 0.5, 0.9, 0.999, 1].randomElement(using: &random) ?? 1,
            minP: [0, 0.01, 0.2, 1].randomElement(using: &random) ?? 0,
            repetitionPenalty: [0, 0.5, 1, 1.3, 2].randomElement(using: &random) ?? 1)
        let earlier = (0..<Int.random(in: 0...20, using: &random)).map { _ in
            UInt32.random(in: 0..<UInt32(count), using: &random)
        }
        let chosen = try Self.sample(logits, settings, seed: seed, after: earlier)
        let bits = SeededGenerator(seed: seed).bits(forToken: UInt64(earlier.count))
        let allowed = Reading(logits, settings, Set(earlier)).choices(bits)
        #expect(allowed.contains(Int(chosen)), "\(settings), chosen \(chosen) of \(allowed)")
    }

    @Test func sameLogitsSameSeedSameTokens() throws {
        var random = TextTests.Random(1)
        let logits = Self.logits(50_257, &random)
        let settings = SamplingSettings(
            temperature: 0.9, topK: 5_000, topP: 0.95, minP: 1e-4, repetitionPenalty: 1.2)
        var sampler = Sampler(vocabularySize: logits.count)
        sampler.start(settings, seed: 42)
        let tokens = try (0..<16).map { _ in try sampler.sample(logits.span) }
        // Recorded from a release build on x86-64; any other build must agree.
        #expect(tokens == Self.recorded)
        // Another job in between leaves nothing behind.
        sampler.start(SamplingSettings(), seed: 7)
        _ = try sampler.sample(logits.span)
        sampler.start(settings, seed: 42)
        #expect(try (0..<16).map { _ in try sampler.sample(logits.span) } == tokens)
        // Token n depends on the ids before it only.
        for count in tokens.indices {
            let next = try Self.sample(logits, settings, seed: 42, after: Array(tokens[..<count]))
            #expect(next == tokens[count])
        }
        #expect(try Self.sample(logits, settings, seed: 43) != tokens[0])
    }

    private static let recorded: [UInt32] = [
        23717, 16568, 33502, 34216, 42709, 14967, 38263, 20594, 6686, 19996, 33759, 22180, 8704,
        23963, 37537, 17223,
    ]

    @Test func greedyTakesTheLowestOfEqualsWhateverTheSeed() throws {
        for seed in UInt64(0)..<20 {
            let logits: [Float] = [-1, 3, 0, 3, 3]
            #expect(try Self.sample(logits, SamplingSettings(temperature: 0), seed: seed) == 1)
            #expect(try Self.sample(logits, SamplingSettings(temperature: 9e-7), seed: seed) == 1)
        }
        #expect(try Self.sample([-0.0, 0], SamplingSettings(temperature: 0)) == 0)
    }

    @Test func penaltyComesBeforeTheGreedyChoiceAndOnlyOnce() throws {
        let greedy = SamplingSettings(temperature: 0, repetitionPenalty: 1.5)
        #expect(try Self.sample([4, 3], greedy, after: [0]) == 1)
        // 4 / 1.5 is above 2.5, 4 / 2.25 is not.
        #expect(try Self.sample([4, 2.5], greedy, after: [0, 0]) == 0)
        #expect(try Self.sample([-4, -5], greedy, after: [0]) == 1)
        let off = SamplingSettings(temperature: 0, repetitionPenalty: 0)
        #expect(try Self.sample([4, 3], off, after: [0]) == 0)
        #expect(try Self.sample([4, 3], greedy, after: [2, .max]) == 0)
    }

    @Test func edgesOfTheFilters() throws {
        let logits: [Float] = [1, 2, 2, 2, 1]
        for seed in UInt64(0)..<50 {
            let one = try [
                SamplingSettings(topK: 1), SamplingSettings(topP: 0), SamplingSettings(minP: 1),
            ].map { try Self.sample(logits, $0, seed: seed) }
            #expect(one[0] == 1)
            #expect(one[1] == 1)
            #expect((1...3).contains(one[2]), "min_p keeps all that are as likely as the best")
            #expect(
                (1...2).contains(try Self.sample(logits, SamplingSettings(topK: 2), seed: seed)))
            // Two of four equals reach exactly one half.
            let half = try Self.sample([5, 5, 5, 5], SamplingSettings(topP: 0.5), seed: seed)
            #expect((0...1).contains(half))
            let none = try Self.sample(
                [0, -.infinity, 0], SamplingSettings(topP: 0.99), seed: seed)
            #expect(none != 1)
        }
    }

    @Test func drawsAsOftenAsTheProbabilitiesSay() throws {
        let logits: [Float] = [0, 1, -1, 2, 0.5, -30]
        let expected = try Sampler.probabilities(of: logits.span, temperature: 1)
        var sampler = Sampler(vocabularySize: logits.count)
        sampler.start(SamplingSettings(), seed: 2_024)
        var counts = [Double](repeating: 0, count: logits.count)
        let draws = 100_000
        for _ in 0..<draws { counts[Int(try sampler.sample(logits.span))] += 1 }
        var statistic = 0.0
        for (count, probability) in zip(counts, expected) where probability > 1e-9 {
            let mean = Double(probability) * Double(draws)
            statistic += (count - mean) * (count - mean) / mean
        }
        // Chi squared with four degrees of freedom: 0.1 % are above 18.5.
        #expect(statistic < 18.5)
        #expect(counts[5] == 0)
    }

    @Test func brokenLogitsAreFailuresNotTraps() throws {
        for settings in [SamplingSettings(), SamplingSettings(temperature: 0)] {
            #expect(throws: SamplingError.notANumber(token: 1)) {
                try Self.sample([0, .nan, 1], settings)
            }
            #expect(throws: SamplingError.notFinite(token: 2)) {
                try Self.sample([0, 1, .infinity], settings)
            }
            #expect(throws: SamplingError.notFinite(token: 0)) {
                try Self.sample([-.infinity, -.infinity], settings)
            }
        }
        #expect(throws: SamplingError.notANumber(token: 0)) {
            try Sampler.probabilities(of: [Float.nan].span, temperature: 1)
        }
        let greatest = Float.greatestFiniteMagnitude
        let extreme = SamplingSettings(temperature: 2e-6, topK: 2, repetitionPenalty: 1e-30)
        #expect(try Self.sample([greatest, 1, -greatest], extreme, after: [1, 2]) == 0)
        var sampler = Sampler(vocabularySize: 2)
        sampler.start(SamplingSettings(), seed: 0)
        #expect(throws: SamplingError.self) { try sampler.sample([Float.nan, 0].span) }
        #expect(sampler.tokenCount == 0)
    }

    @Test(arguments: [0.5, 0.8, 1, 2] as [Float])
    func probabilitiesWithinAMillionth(temperature: Float) throws {
        var random = TextTests.Random(11)
        let logits = Self.logits(50_257, &random)
        let found = try Sampler.probabilities(of: logits.span, temperature: temperature)
        let exact = logits.map { exp((Double($0) - 5) / Double(temperature)) }
        let sum = exact.reduce(0, +)
        for (value, exact) in zip(found, exact) where abs(Double(value) - exact / sum) > 1e-6 {
            Issue.record("\(value), expected \(exact / sum)")
        }
        #expect(abs(found.reduce(0) { $0 + Double($1) } - 1) <= 1e-6)
        #expect(found.allSatisfy { (0..<1).contains($0) })
    }
}

/// The contract's steps word by word.
private struct Reading {
    private let logits: [Double]
    private let settings: SamplingSettings

    init(_ logits: [Float], _ settings: SamplingSettings, _ generated: Set<UInt32>) {
        self.settings = settings
        let penalty = settings.repetitionPenalty
        self.logits = logits.enumerated().map { token, logit in
            var value = settings.temperature < 1e-6 ? logit : logit / settings.temperature
            if penalty != 0, penalty != 1, generated.contains(UInt32(token)) {
                value = value > 0 ? value / penalty : value * penalty
            }
            return Double(value)
        }
    }

    /// The token drawn; more than one where rounding decides.
    func choices(_ bits: UInt64) -> Set<Int> {
        var kept = logits.indices.sorted { (-logits[$0], $0) < (-logits[$1], $1) }
        if settings.temperature < 1e-6 { return [kept[0]] }
        let weights = logits.map { exp($0 - logits[kept[0]]) }
        if settings.topK > 0 { kept = Array(kept.prefix(Int(settings.topK))) }
        if settings.topP < 1 {
            let total = kept.reduce(0) { $0 + weights[$1] }
            var sum = 0.0
            var count = 0
            repeat {
                sum += weights[kept[count]]
                count += 1
            } while count < kept.count && sum < Double(settings.topP) * total
            kept = Array(kept.prefix(count))
        }
        kept = kept.filter { weights[$0] >= Double(settings.minP) }.sorted()
        let total = kept.reduce(0) { $0 + weights[$1] }
        let place = Double(bits) / 0x1p64 * total
        var sum = 0.0
        var choices: Set<Int> = []
        for token in kept {
            if place > sum - 1e-6 * total, place < sum + weights[token] + 1e-6 * total {
                choices.insert(token)
            }
            sum += weights[token]
        }
        return choices
    }
}
