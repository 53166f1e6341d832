// Checkpoint 10 of 00 to 12: argmax. What is kept of models: TestSupport/CheckpointModel.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchProtocol
import TestSupport
import Testing

/// Temperature 0: the id of the greatest logit, the lowest id of equals.
///
/// Exact. A temperature below 1e-6 is greedy too; the sampler says so, not a comparison with 0.
///
/// Usual mistakes: the last of equals, one past the end of a padded vocabulary, a draw at tiny
/// temperatures.
@Suite("Checkpoint 10: argmax")
struct Checkpoint10ArgmaxTests {
    @Test(arguments: CheckpointModel.listed)
    func greatestLogitOfEachRowIsChosen(name: String) throws {
        let model = try CheckpointModel.named(name)
        var count = 0
        for reference in try model.references(of: ObservationPoint.logits.rawValue) {
            for row in 0..<reference.array.shape[0] {
                let logits = reference.array.rows(row..<row + 1).values
                #expect(
                    try greedy(logits) == lowestArgmax(logits),
                    "\(reference.entry.file), row \(row)")
                count += 1
            }
        }
        print("\(name): \(count) rows")
    }

    @Test(arguments: CheckpointModel.listed)
    func firstTokenIsTheReferences(name: String) throws {
        let model = try CheckpointModel.named(name)
        for prompt in model.prompts {
            let first = try #require(
                prompt.continuation.ids.first, "\(prompt.name) has no clear first token")
            let logits = try #require(try model.recording(of: prompt.name).array(.logits))
            let last = logits.shape[0] - 1
            for _ in 0..<3 { #expect(try greedy(logits.rows(last..<last + 1).values) == first) }
            #expect(logits.shape[1] == model.configuration.vocabularySize)
        }
    }

    @Test(arguments: [0, 1e-7, 9e-7] as [Float])
    func tiesGoToTheLowestIDAtEachGreedyTemperature(temperature: Float) throws {
        for (lowest, highest) in [(0, 511), (7, 8), (15, 16), (63, 300), (510, 511)] {
            var logits = [Float](repeating: -1, count: 512)
            logits[lowest] = 2.5
            logits[highest] = 2.5
            #expect(try greedy(logits, temperature: temperature) == TokenID(lowest))
            // The negative twin: taking the last of equals is another answer.
            #expect(highestArgmax(logits) == TokenID(highest))
            #expect(highestArgmax(logits) != lowestArgmax(logits))
        }
        #expect(try greedy([Float](repeating: 0, count: 512), temperature: temperature) == 0)
        // Zeros of both signs are equal.
        #expect(try greedy([-0.0, 0, -1], temperature: temperature) == 0)
    }

    private func greedy(_ logits: [Float], temperature: Float = 0) throws -> TokenID {
        var sampler = Sampler(vocabularySize: logits.count)
        sampler.start(SamplingSettings(temperature: temperature), seed: 42)
        return try sampler.sample(logits.span)
    }

    private func lowestArgmax(_ logits: [Float]) -> TokenID {
        var best = 0
        for index in logits.indices where logits[index] > logits[best] { best = index }
        return TokenID(best)
    }

    private func highestArgmax(_ logits: [Float]) -> TokenID {
        var best = 0
        for index in logits.indices where logits[index] >= logits[best] { best = index }
        return TokenID(best)
    }
}
