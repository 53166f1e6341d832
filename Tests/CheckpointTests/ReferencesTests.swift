// Whether the checkpoints compare with the arrays of every reference. The checkpoints do the
// comparing; this file looks at no engine.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import TestSupport
import Testing

/// A reference whose arrays were left out of the manifest would be compared with nothing, and every
/// checkpoint would pass.
@Suite("References of the checkpoints")
struct ReferencesTests {
    static let names: Set = ["huggingface", "tinygrad", "candle"]

    @Test func everyPointOfTheTinyModelIsKeptOfEachReference() throws {
        let model = try CheckpointModel.named("tiny")
        let kept = model.manifest.arrays.filter { $0.fault == nil }
        #expect(Set(kept.map(\.reference)) == Self.names)
        let expected = expectedPlaces(of: model)
        for name in Self.names {
            let places = Set(kept.filter { $0.reference == name }.map(Place.init(of:)))
            #expect(places == expected, "\(name)")
        }
    }

    /// Every point of both prompts in every block, and the points outside the blocks; of one prompt
    /// the probabilities.
    private func expectedPlaces(of model: CheckpointModel) -> Set<Place> {
        let outside: Set<ObservationPoint> = [.embedding, .finalNorm, .logits]
        var places: Set = [Place(prompt: "short", point: "probabilities", layer: nil)]
        for prompt in model.prompts {
            for point in ObservationPoint.allCases {
                let layers: [Int?] =
                    outside.contains(point) ? [nil] : Array(0..<model.configuration.layerCount)
                for layer in layers {
                    places.insert(Place(prompt: prompt.name, point: point.rawValue, layer: layer))
                }
            }
        }
        return places
    }
}

/// What one array is of.
private struct Place: Hashable {
    var prompt: String
    var point: String
    var layer: Int?
}

extension Place {
    init(of entry: ReferenceManifest.Entry) {
        self.init(prompt: entry.prompt, point: entry.point, layer: entry.layer)
    }
}
