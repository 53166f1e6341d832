// Checkpoint 11 of 00 to 12: softmax probabilities. What is kept of models:
// TestSupport/CheckpointModel.swift.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import LlorchEngine
import TestSupport
import Testing

/// Softmax of the logits divided by the temperature.
///
/// Tolerance 1e-6 for each probability and for their sum; the best five ids are the reference's.
/// The input is the reference's logits, so that only softmax is judged.
///
/// Usual mistakes: no shift by the greatest logit (overflow), dividing before shifting (at large
/// logits that costs more than the tolerance), a sum of 50257 terms in f32, one after another.
@Suite("Checkpoint 11: softmax probabilities")
struct Checkpoint11SoftmaxProbabilitiesTests {
    let tolerance = 1e-6

    @Test(arguments: CheckpointModel.listed)
    func agreesWithReferences(name: String) throws {
        let model = try CheckpointModel.named(name)
        for reference in try model.references(of: "probabilities") {
            let source = reference.entry.reference
            let logits = try model.reference(.logits, prompt: reference.entry.prompt, by: source)
                .array
            let row = logits.rows(logits.shape[0] - 1..<logits.shape[0]).values
            for (index, temperature) in model.manifest.temperatures.enumerated() {
                let expected = reference.array.rows(index..<index + 1)
                let values = try Sampler.probabilities(of: row.span, temperature: temperature)
                let actual = ReferenceArray(shape: expected.shape, values: values)
                let closeness = Closeness(of: actual, to: expected, tolerance: tolerance)
                #expect(
                    closeness.isClose,
                    "\(name), \(source), temperature \(temperature): \(closeness)")
                #expect(values.allSatisfy { (0...1).contains($0) })
                #expect(abs(sum(values) - 1) <= tolerance)
                #expect(best(5, of: values) == best(5, of: expected.values))
                print(
                    "\(name), \(source): temperature \(temperature), sum 1 + \(sum(values) - 1): \(closeness)"
                )

                for other in model.manifest.temperatures where other != temperature {
                    let wrong = try Sampler.probabilities(of: row.span, temperature: other)
                    let twin = Closeness(
                        of: ReferenceArray(shape: expected.shape, values: wrong), to: expected,
                        tolerance: tolerance)
                    #expect(!twin.isClose, "temperature \(other) for \(temperature): \(twin)")
                }
            }
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func aConstantShiftChangesNothing(seed: UInt64) throws {
        let logits = gaussian(50_257, seed: seed, deviation: 3)
        let expected = try Sampler.probabilities(of: logits.span, temperature: 0.8)
        // A power of two large enough for exp to overflow f32; eighths keep the addition exact.
        let eighths = logits.map { ($0 * 8).rounded() / 8 }
        let plain = try Sampler.probabilities(of: eighths.span, temperature: 0.8)
        let moved = eighths.map { $0 + 128 }
        let shifted = try Sampler.probabilities(of: moved.span, temperature: 0.8)
        #expect(plain == shifted, "seed \(seed)")
        #expect(abs(sum(plain) - 1) <= tolerance, "seed \(seed)")
        #expect(abs(sum(expected) - 1) <= tolerance, "seed \(seed)")
        // The negative twin: without the shift there are infinities.
        #expect(!sum(softmax(moved, shifting: false)).isFinite)
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func aPlainSumInSinglePrecisionIsRejected(seed: UInt64) throws {
        let logits = gaussian(50_257, seed: seed, deviation: 3)
        let right = try sum(Sampler.probabilities(of: logits.span, temperature: 1))
        let wrong = sum(softmax(logits, shifting: true))
        #expect(abs(right - 1) <= tolerance, "seed \(seed)")
        #expect(abs(wrong - 1) > tolerance, "seed \(seed): \(wrong - 1)")
        print("seed \(seed): sum off by \(right - 1); added up in f32 by \(wrong - 1)")
    }

    /// Faulty on purpose: terms added up in f32, and the shift may be left out.
    private func softmax(_ logits: [Float], shifting: Bool) -> [Float] {
        let greatest = shifting ? logits.max() ?? 0 : 0
        let terms = logits.map { expf($0 - greatest) }
        let total = terms.reduce(0, +)
        return terms.map { $0 / total }
    }

    private func sum(_ values: [Float]) -> Double { values.reduce(0) { $0 + Double($1) } }

    /// Ids of the greatest, the lowest id of equals first.
    private func best(_ count: Int, of values: [Float]) -> [Int] {
        Array(values.indices.sorted { (values[$1], $0) < (values[$0], $1) }.prefix(count))
    }

    private func gaussian(_ count: Int, seed: UInt64, deviation: Float) -> [Float] {
        var generator = SplitMix(seed: seed)
        return (0..<count).map { _ in
            let radius = (-2 * log(Double.random(in: .leastNormalMagnitude..<1, using: &generator)))
                .squareRoot()
            let angle = 2 * Double.pi * Double.random(in: 0..<1, using: &generator)
            return deviation * Float(radius * cos(angle))
        }
    }
}
