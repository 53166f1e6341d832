// Checkpoint 04 of 00 to 12: attention scores. How arrays are compared: Expectations.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import TestSupport
import Testing

/// Query times key for each head, divided by √D, before softmax; later positions are masked.
///
/// Tolerance 1e-4. A masked score is minus infinity on both sides; the engine shows masked ones by
/// not giving them, so one position too many or too few is seen as well as a wrong value.
///
/// Usual mistakes: no division, division by D, no mask, a mask off by one, another number of heads.
@Suite("Checkpoint 04: attention scores")
struct Checkpoint04AttentionScoresTests {
    let tolerance = 1e-4

    @Test(arguments: CheckpointModel.listed)
    func agreesWithReferences(name: String) throws {
        try expectAgreement(
            of: CheckpointModel.named(name), at: .attentionScores, tolerance: tolerance)
    }

    @Test(arguments: CheckpointModel.listed)
    func rowsSeeThemselvesAndNothingLater(name: String) throws {
        let model = try CheckpointModel.named(name)
        let scores = try #require(
            try model.recording(of: "long").array(.attentionScores, layer: 0))
        let (heads, rows, positions) = (scores.shape[0], scores.shape[1], scores.shape[2])
        #expect(heads == model.configuration.headCount)
        #expect(rows == positions)
        for (index, score) in scores.values.enumerated() {
            let (row, position) = (index / positions % rows, index % positions)
            #expect(
                score.isFinite == (position <= row), "row \(row), position \(position): \(score)")
        }
    }

    @Test(arguments: CheckpointModel.listed)
    func wrongScoresAreRejected(name: String) throws {
        let model = try CheckpointModel.named(name)
        func expectRejected(
            _ fault: String, altering: (inout CheckpointModel.Source) throws -> Void
        ) throws {
            try expectRejection(
                fault, of: model, at: .attentionScores, tolerance: tolerance, altering: altering)
        }
        try expectRejected("not divided") { source in
            source.configuration = source.configuration.with(scaleAttentionWeights: false)
        }
        try expectRejected("divided by D") { source in
            let configuration = source.configuration
            let scale = 1 / Float(configuration.headSize).squareRoot()
            for name in ["h.0.attn.c_attn.weight", "h.0.attn.c_attn.bias"] {
                try source.alter(name) { array in
                    array.multiply(columns: 0..<configuration.hiddenSize, by: scale)
                }
            }
        }
        try expectRejected("half as many heads") { source in
            source.configuration = source.configuration.with(
                headCount: source.configuration.headCount / 2)
        }
    }

    @Test(arguments: ["scaleByHeadSize", "noMask", "maskOffByOne"])
    func faultyReferencesAreRejected(fault: String) throws {
        try expectRejection(ofFaultyReference: fault, at: .attentionScores, tolerance: tolerance)
    }
}
