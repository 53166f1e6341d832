// Checkpoint 08 of 00 to 12: all logits. How arrays are compared: Expectations.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import TestSupport
import Testing

/// All blocks, the final norm, and the product with the token table: a logit for each row and
/// vocabulary entry.
///
/// Tolerance 1e-3.
///
/// Usual mistakes: a block skipped, the final norm forgotten, an output matrix of its own where the
/// table is shared, a bias added, a padded vocabulary.
@Suite("Checkpoint 08: full logits")
struct Checkpoint08FullLogitsTests {
    let tolerance = 1e-3

    @Test(arguments: CheckpointModel.listed)
    func agreesWithReferences(name: String) throws {
        let model = try CheckpointModel.named(name)
        try expectAgreement(of: model, at: .finalNorm, tolerance: tolerance)
        try expectAgreement(of: model, at: .logits, tolerance: tolerance)
    }

    @Test(arguments: CheckpointModel.listed)
    func wrongLogitsAreRejected(name: String) throws {
        let model = try CheckpointModel.named(name)
        func expectRejected(
            _ fault: String, altering: (inout CheckpointModel.Source) throws -> Void
        ) throws {
            try expectRejection(
                fault, of: model, at: .logits, tolerance: tolerance, altering: altering)
        }
        try expectRejected("last block skipped") { source in
            source.configuration = source.configuration.with(
                layerCount: source.configuration.layerCount - 1)
        }
        try expectRejected("head untied") { source in
            var head = try source.whole("wte.weight")
            head.reverseRowGroups(of: 1)
            source.configuration = source.configuration.with(tieWordEmbeddings: false)
            source.set("lm_head.weight", to: head)
        }
        try expectRejected("final scale 1 % too large") { source in
            try source.alter("ln_f.weight") { $0.multiply(by: 1.01) }
        }
    }

    @Test(arguments: ["blockSkipped", "headUntied"])
    func faultyReferencesAreRejected(fault: String) throws {
        try expectRejection(ofFaultyReference: fault, at: .logits, tolerance: tolerance)
    }
}
