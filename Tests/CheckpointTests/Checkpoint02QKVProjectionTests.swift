// Checkpoint 02 of 00 to 12: query, key and value. How arrays are compared: Expectations.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import TestSupport
import Testing

/// One linear layer of the normed rows, split into query, key and value in this order, then into
/// heads.
///
/// Tolerance 1e-4. The file's weight is [in, out] and is used as it is.
///
/// Usual mistakes: the weight transposed (square parts of it even fit), the bias forgotten, query
/// and key exchanged, heads taken every H columns instead of D columns each.
@Suite("Checkpoint 02: query, key and value")
struct Checkpoint02QKVProjectionTests {
    let tolerance = 1e-4
    static let points: [ObservationPoint] = [.query, .key, .value]

    @Test(arguments: CheckpointModel.listed, points)
    func agreesWithReferences(name: String, point: ObservationPoint) throws {
        try expectAgreement(of: CheckpointModel.named(name), at: point, tolerance: tolerance)
    }

    @Test(arguments: CheckpointModel.listed)
    func queryKeyAndValueAreThreeThings(name: String) throws {
        let model = try CheckpointModel.named(name)
        let recording = try model.recording(of: "long")
        let arrays = try Self.points.map { try #require(recording.array($0, layer: 0)) }
        for (left, right) in [(0, 1), (1, 2), (0, 2)] {
            #expect(!Closeness(of: arrays[left], to: arrays[right], tolerance: tolerance).isClose)
        }
    }

    @Test(arguments: CheckpointModel.listed, points)
    func wrongProjectionsAreRejected(name: String, point: ObservationPoint) throws {
        let model = try CheckpointModel.named(name)
        let weight = "h.0.attn.c_attn.weight"
        let bias = "h.0.attn.c_attn.bias"
        func expectRejected(
            _ fault: String, altering: (inout CheckpointModel.Source) throws -> Void
        ) throws {
            try expectRejection(
                fault, of: model, at: point, tolerance: tolerance, altering: altering)
        }
        try expectRejected("each square of the weight transposed") { source in
            try source.alter(weight) { $0.transposeSquares() }
        }
        // Training moves no key's bias: it adds the same to all scores of a row. So zero may be right.
        if point != .key {
            try expectRejected("bias zero") { source in
                try source.alter(bias) { $0.multiply(by: 0) }
            }
        }
        try expectRejected("bias in another order") { source in
            try source.alter(bias) { $0.rotateColumns(by: $0.shape[0] / 3) }
        }
        // A turn by one third: query gets key's columns, key gets value's, value gets query's.
        try expectRejected("query, key and value in another order") { source in
            try source.alter(weight) { $0.rotateColumns(by: $0.shape[1] / 3) }
            try source.alter(bias) { $0.rotateColumns(by: $0.shape[0] / 3) }
        }
    }
}
