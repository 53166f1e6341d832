// What each checkpoint does with arrays: agree with right references, reject faulty ones, and tell
// by how much. The comparison itself is `Closeness` in TestSupport.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import TestSupport
import Testing

/// Compares what the engine shows at one point with every array that is kept of it.
///
/// That is each reference, prompt and layer. The largest difference from each reference is printed,
/// also on success.
func expectAgreement(
    of model: CheckpointModel, at point: ObservationPoint, tolerance: Double,
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    var largest: [String: Double] = [:]
    for reference in try model.references(of: point.rawValue) {
        let layer = reference.entry.layer
        let actual = try #require(
            try model.recording(of: reference.entry.prompt).array(point, layer: layer),
            "\(model.name): the engine shows no \(point), \(reference.entry.file)",
            sourceLocation: sourceLocation)
        let first = reference.entry.firstRow
        // Values grow from block to block, and f32's steps with them: relative after the first.
        let scale = (layer ?? 0) == 0 ? 1 : max(1, reference.array.greatestMagnitude)
        let closeness = Closeness(
            of: first == 0 ? actual : actual.rows(first..<actual.shape[0]), to: reference.array,
            tolerance: tolerance * scale)
        #expect(
            closeness.isClose, "\(model.name), \(reference.entry.file): \(closeness)",
            sourceLocation: sourceLocation)
        let name = reference.entry.reference
        largest[name] = max(largest[name] ?? 0, closeness.largest / scale)
    }
    for (name, difference) in largest.sorted(by: { $0.key < $1.key }) {
        print(
            "\(model.name): \(point) differs from \(name) by \(Float(difference)), "
                + "tolerance \(Float(tolerance))")
    }
}

/// The negative twin: something broken, through the same check, which must not pass it.
func expectRejection(
    _ fault: String, of model: CheckpointModel, at point: ObservationPoint,
    _ actual: ReferenceArray?,
    against expected: ReferenceArray, tolerance: Double,
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let actual = try #require(actual, "nothing seen at \(point)", sourceLocation: sourceLocation)
    let closeness = Closeness(of: actual, to: expected, tolerance: tolerance)
    #expect(
        !closeness.isClose, "\(model.name): \(fault) went unseen at \(point): \(closeness)",
        sourceLocation: sourceLocation)
    print("\(model.name): \(fault) is rejected at \(point): \(closeness)")
}

/// Faulty references, kept of the tiny model only: the engine must not agree with them.
func expectRejection(
    ofFaultyReference fault: String, at point: ObservationPoint, tolerance: Double,
    sourceLocation: SourceLocation = #_sourceLocation
) throws {
    let model = try CheckpointModel.named("tiny")
    for reference in try model.references(of: point.rawValue, fault: fault) {
        let actual = try model.recording(of: reference.entry.prompt)
            .array(point, layer: reference.entry.layer)
        try expectRejection(
            fault, of: model, at: point, actual, against: reference.array, tolerance: tolerance,
            sourceLocation: sourceLocation)
    }
}

/// Breaks a tensor or the configuration, runs the long prompt, and expects the check to see it in
/// block 0, or at the point after all blocks.
func expectRejection(
    _ fault: String, of model: CheckpointModel, at point: ObservationPoint, tolerance: Double,
    sourceLocation: SourceLocation = #_sourceLocation,
    altering: (inout CheckpointModel.Source) throws -> Void
) throws {
    let layer = point == .logits ? nil : 0
    let reference = try model.reference(point, prompt: "long", layer: layer)
    let actual = try model.recording(of: "long", blocksOnly: layer, altering: altering)
        .array(point, layer: layer)
    let first = reference.entry.firstRow
    try expectRejection(
        fault, of: model, at: point,
        actual.map { $0.shape.count == 2 ? $0.rows(first..<$0.shape[0]) : $0 },
        against: reference.array, tolerance: tolerance, sourceLocation: sourceLocation)
}
