// Checkpoint 03 of 00 to 12: the key-value cache. Driven piece by piece:
// TestSupport/EngineSession.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchProtocol
import TestSupport
import Testing

/// After a prefill and one decode, every layer holds the keys and values that were computed, bit
/// for bit.
///
/// Exact. One region for each layer, contextLength positions, no batch axis.
///
/// Usual mistakes: appending one position late, counting before the last layer has appended, layers
/// that share a region, a cache that keeps rows of the job before.
@Suite("Checkpoint 03: key-value cache")
struct Checkpoint03KVCacheTests {
    typealias Part = EngineSession.CachePart

    @Test(arguments: CheckpointModel.listed)
    func holdsWhatWasComputedAfterPrefillAndOneDecode(name: String) throws {
        let model = try CheckpointModel.named(name)
        let whole = try model.recording(of: "long")
        let ids = try model.prompt("long").ids
        try model.withSession { session in
            session.forward(Array(ids.dropLast()))
            #expect(session.count == ids.count - 1)
            session.forward(Array(ids.suffix(1)))
            #expect(session.count == ids.count)
            let layers = model.configuration.layerCount
            for layer in 0..<layers {
                for part in Part.allCases {
                    let held = session.cached(part, layer: layer, positions: 0..<ids.count)
                    let computed = try #require(
                        session.recorder.array(part.point, layer: layer))
                    #expect(held.shape == computed.shape)
                    let isFinite = held.values.allSatisfy(\.isFinite)
                    #expect(isFinite)
                    #expect(held == computed, "\(name), layer \(layer), \(part)")
                    // One pass over the whole prompt computes the same bits.
                    #expect(held == whole.array(part.point, layer: layer))

                    // The negative twins: appended one position late, and layers that share a
                    // region.
                    let rows = ids.count
                    #expect(held.rows(0..<rows - 1) != computed.rows(1..<rows))
                    let other = (layer + 1) % layers
                    #expect(held != session.recorder.array(part.point, layer: other))
                }
                #expect(
                    session.cached(.keys, layer: layer, positions: 0..<ids.count)
                        != session.cached(.values, layer: layer, positions: 0..<ids.count))
            }
        }
        print("\(name): \(model.configuration.layerCount) layers, \(ids.count) positions, equal")
    }

    @Test(arguments: CheckpointModel.listed)
    func truncatedAndGrownAgainItIsTheSame(name: String) throws {
        let model = try CheckpointModel.named(name)
        let ids = try model.prompt("long").ids
        let kept = ids.count / 2
        let stranger = TokenID(model.configuration.vocabularySize - 2)
        try model.withSession { session in
            session.forward(ids)
            let first = held(by: session, model, positions: 0..<ids.count)
            session.truncate(to: kept)
            session.forward([stranger, stranger])
            // The negative twin: another continuation leaves other rows.
            #expect(
                held(by: session, model, positions: 0..<kept + 2)
                    != first.map { $0.rows(0..<kept + 2) })
            session.truncate(to: kept)
            #expect(session.count == kept)
            session.forward(Array(ids.dropFirst(kept)))
            #expect(held(by: session, model, positions: 0..<ids.count) == first)
        }
    }

    private func held(
        by session: borrowing EngineSession, _ model: CheckpointModel, positions: Range<Int>
    ) -> [ReferenceArray] {
        var arrays: [ReferenceArray] = []
        for layer in 0..<model.configuration.layerCount {
            for part in Part.allCases {
                arrays.append(session.cached(part, layer: layer, positions: positions))
            }
        }
        return arrays
    }
}
