// Checkpoint 01 of 00 to 12: layer norm. How arrays are compared: Expectations.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import TestSupport
import Testing

/// Layer norm, the first thing of a block: every row to mean 0 and variance 1, then scale and
/// shift.
///
/// Tolerance 1e-5. Mean and variance are looked at before scale and shift: afterwards they say
/// nothing.
///
/// Usual mistakes: another epsilon (1e-6 is a common default and moves real models by less than
/// 1e-4), variance over N−1, scale and shift exchanged, normalising over rows.
@Suite("Checkpoint 01: layer norm")
struct Checkpoint01LayerNormTests {
    let tolerance = 1e-5

    @Test(arguments: CheckpointModel.listed)
    func agreesWithReferences(name: String) throws {
        let model = try CheckpointModel.named(name)
        try expectAgreement(of: model, at: .embedding, tolerance: tolerance)
        try expectAgreement(of: model, at: .attentionNorm, tolerance: tolerance)
    }

    @Test(arguments: CheckpointModel.listed)
    func rowsHaveMeanZeroAndVarianceOneBeforeScaleAndShift(name: String) throws {
        let model = try CheckpointModel.named(name)
        for prompt in model.prompts {
            let recording = try model.recording(of: prompt.name, blocksOnly: 0) { source in
                let columns = source.configuration.hiddenSize
                source.set("h.0.ln_1.weight", to: .constant(1, count: columns))
                source.set("h.0.ln_1.bias", to: .constant(0, count: columns))
            }
            let input = try #require(recording.array(.embedding))
            let output = try #require(recording.array(.attentionNorm, layer: 0))
            let epsilon = Double(model.configuration.layerNormEpsilon)
            for row in 0..<output.shape[0] {
                let before = Moments(of: input.rows(row..<row + 1).values)
                let after = Moments(of: output.rows(row..<row + 1).values)
                #expect(abs(after.mean) < 1e-6)
                #expect(abs(after.variance - before.variance / (before.variance + epsilon)) < 1e-5)
            }
        }
    }

    @Test(arguments: CheckpointModel.listed)
    func wrongNormsAreRejected(name: String) throws {
        let model = try CheckpointModel.named(name)
        func expectRejected(
            _ fault: String, altering: (inout CheckpointModel.Source) throws -> Void
        ) throws {
            try expectRejection(
                fault, of: model, at: .attentionNorm, tolerance: tolerance, altering: altering)
        }
        for epsilon: Float in [1e-3, 1e-6] {
            try expectRejected("epsilon \(epsilon)") { source in
                source.configuration = source.configuration.with(layerNormEpsilon: epsilon)
            }
        }
        try expectRejected("scale and shift exchanged") { source in
            let (scale, shift) = try (
                source.whole("h.0.ln_1.weight"), source.whole("h.0.ln_1.bias")
            )
            source.set("h.0.ln_1.weight", to: shift)
            source.set("h.0.ln_1.bias", to: scale)
        }
        try expectRejected("scale 1 % too large") { source in
            try source.alter("h.0.ln_1.weight") { $0.multiply(by: 1.01) }
        }
        // 1/√(sum/(N−1)) is √((N−1)/N) times 1/√(sum/N); epsilon's share is smaller still.
        try expectRejected("variance over N-1") { source in
            let count = Float(source.configuration.hiddenSize)
            try source.alter("h.0.ln_1.weight") {
                $0.multiply(by: ((count - 1) / count).squareRoot())
            }
        }
    }

    @Test(arguments: ["epsilon1e-3", "epsilon1e-6", "sampleVariance", "normSwapped"])
    func faultyReferencesAreRejected(fault: String) throws {
        try expectRejection(ofFaultyReference: fault, at: .attentionNorm, tolerance: tolerance)
    }
}

/// Mean and biased variance, in Double.
private struct Moments {
    let mean: Double
    let variance: Double

    init(of values: [Float]) {
        let count = Double(values.count)
        let mean = values.reduce(0) { $0 + Double($1) } / count
        self.mean = mean
        variance = values.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / count
    }
}
