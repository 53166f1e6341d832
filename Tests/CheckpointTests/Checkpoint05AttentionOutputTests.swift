// Checkpoint 05 of 00 to 12: attention output. How arrays are compared: Expectations.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import TestSupport
import Testing

/// Softmax of the scores, the weighted sum of values, heads side by side again, and the output
/// projection.
///
/// Tolerance 1e-4, all rows: without the mask the last row would still be right, the first would
/// not.
///
/// Usual mistakes: softmax twice, heads joined in another order, the projection transposed or left
/// out.
@Suite("Checkpoint 05: attention output")
struct Checkpoint05AttentionOutputTests {
    let tolerance = 1e-4

    @Test(arguments: CheckpointModel.listed)
    func agreesWithReferences(name: String) throws {
        try expectAgreement(
            of: CheckpointModel.named(name), at: .attentionOutput, tolerance: tolerance)
    }

    @Test(arguments: CheckpointModel.listed)
    func wrongOutputsAreRejected(name: String) throws {
        let model = try CheckpointModel.named(name)
        let weight = "h.0.attn.c_proj.weight"
        func expectRejected(
            _ fault: String, altering: (inout CheckpointModel.Source) throws -> Void
        ) throws {
            try expectRejection(
                fault, of: model, at: .attentionOutput, tolerance: tolerance, altering: altering)
        }
        try expectRejected("projection zero") { source in
            try source.alter(weight) { $0.multiply(by: 0) }
        }
        try expectRejected("projection transposed") { source in
            try source.alter(weight) { $0.transposeSquares() }
        }
        // The projection's rows are what the heads are multiplied with: reversed, the last head
        // comes first.
        try expectRejected("heads joined in reverse order") { source in
            let configuration = source.configuration
            try source.alter(weight) { $0.reverseRowGroups(of: configuration.headSize) }
        }
    }

    @Test(arguments: ["noMask", "maskOffByOne", "headsMergedInWrongOrder"])
    func faultyReferencesAreRejected(fault: String) throws {
        try expectRejection(ofFaultyReference: fault, at: .attentionOutput, tolerance: tolerance)
    }
}
