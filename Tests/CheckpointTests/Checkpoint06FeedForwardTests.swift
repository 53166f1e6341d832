// Checkpoint 06 of 00 to 12: feed-forward. How arrays are compared: Expectations.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import TestSupport
import Testing

/// Four times wider, gelu, and back, of the second norm's rows.
///
/// Tolerance 1e-4. GPT-2 was trained with the tanh form of gelu; the erf form differs by up to 5e-4
/// before the second product.
///
/// Usual mistakes: the erf form, fed with the attention output instead of the second norm, bias
/// forgotten.
@Suite("Checkpoint 06: feed-forward")
struct Checkpoint06FeedForwardTests {
    let tolerance = 1e-4

    @Test(
        arguments: CheckpointModel.listed, [ObservationPoint.feedForwardNorm, .feedForwardOutput])
    func agreesWithReferences(name: String, point: ObservationPoint) throws {
        try expectAgreement(of: CheckpointModel.named(name), at: point, tolerance: tolerance)
    }

    @Test(arguments: CheckpointModel.listed)
    func wrongOutputsAreRejected(name: String) throws {
        let model = try CheckpointModel.named(name)
        func expectRejected(
            _ fault: String, altering: (inout CheckpointModel.Source) throws -> Void
        ) throws {
            try expectRejection(
                fault, of: model, at: .feedForwardOutput, tolerance: tolerance, altering: altering)
        }
        try expectRejected("relu") { source in
            source.configuration = source.configuration.with(activation: .relu)
        }
        try expectRejected("bias zero") { source in
            try source.alter("h.0.mlp.c_fc.bias") { $0.multiply(by: 0) }
        }
        try expectRejected("upper half of the width unused") { source in
            try source.alter("h.0.mlp.c_fc.weight") { array in
                array.multiply(columns: array.shape[1] / 2..<array.shape[1], by: 0)
            }
        }
        try expectRejected("erf gelu") { source in
            source.configuration = source.configuration.with(activation: .geluErf)
        }
    }

    @Test(arguments: ["erfGelu", "feedForwardFedWithAttention"])
    func faultyReferencesAreRejected(fault: String) throws {
        try expectRejection(ofFaultyReference: fault, at: .feedForwardOutput, tolerance: tolerance)
    }
}
