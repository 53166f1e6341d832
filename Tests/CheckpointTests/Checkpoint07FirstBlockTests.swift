// Checkpoint 07 of 00 to 12: the first block. How arrays are compared: Expectations.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import TestSupport
import Testing

/// One whole block: x + attention(norm x), then that + feed-forward(norm of it).
///
/// Tolerance 1e-4.
///
/// Usual mistakes: norms after the sums, a residual left out, the second residual taken from the
/// block's input.
@Suite("Checkpoint 07: first block")
struct Checkpoint07FirstBlockTests {
    let tolerance = 1e-4

    @Test(arguments: CheckpointModel.listed)
    func agreesWithReferences(name: String) throws {
        try expectAgreement(
            of: CheckpointModel.named(name), at: .blockOutput, tolerance: tolerance)
    }

    /// Sums of the engine's own parts, with one part left out.
    @Test(arguments: CheckpointModel.listed)
    func missingPartsAreRejected(name: String) throws {
        let model = try CheckpointModel.named(name)
        let recording = try model.recording(of: "long")
        let input = try #require(recording.array(.embedding))
        let attention = try #require(recording.array(.attentionOutput, layer: 0))
        let feedForward = try #require(recording.array(.feedForwardOutput, layer: 0))
        let expected = try model.reference(.blockOutput, prompt: "long", layer: 0).array
        // The sum itself must pass, or the twins below would prove nothing.
        #expect(
            Closeness(
                of: .sum(input, attention, feedForward), to: expected, tolerance: tolerance
            ).isClose)
        for (fault, sum) in [
            ("attention's residual missing", ReferenceArray.sum(attention, feedForward)),
            ("feed-forward's residual missing", feedForward),
            ("second residual from the block's input", .sum(input, feedForward)),
            ("feed-forward missing", .sum(input, attention)),
        ] {
            try expectRejection(
                fault, of: model, at: .blockOutput, sum, against: expected, tolerance: tolerance)
        }
    }

    @Test(arguments: ["postNorm", "noAttentionResidual", "noFeedForwardResidual"])
    func faultyReferencesAreRejected(fault: String) throws {
        try expectRejection(ofFaultyReference: fault, at: .blockOutput, tolerance: tolerance)
    }
}
