// A model with its cache, driven piece by piece: for the checkpoints that look at more than one
// pass.
// SPDX-License-Identifier: Apache-2.0

package import LlorchEngine
package import LlorchProtocol

package struct EngineSession: ~Copyable {
    private let model: GPT2
    private var cache: KVCache
    private var activations: Activations
    /// Everything shown since the session began or was reset.
    package private(set) var recorder = ActivationRecorder()

    package init(_ model: GPT2) throws {
        let cache = try model.makeCache()
        let activations = try model.makeActivations(
            chunkLength: model.configuration.contextLength, allLogits: true)
        self.model = model
        self.cache = cache
        self.activations = activations
    }

    /// Positions in the cache.
    package var count: Int { cache.count }

    package mutating func forward(_ ids: [TokenID], logits: LogitRows = .all) {
        model.forward(
            ids.span, cache: &cache, activations: &activations, logits: logits, observer: &recorder)
    }

    /// The logits of the last row that was asked for.
    package var lastLogits: [Float] {
        guard let logits = recorder.array(.logits) else { return [] }
        return logits.rows(logits.shape[0] - 1..<logits.shape[0]).values
    }

    /// An empty cache, as between two jobs; nothing is recorded yet.
    package mutating func reset() {
        cache.reset()
        recorder = ActivationRecorder()
    }

    /// As if positions from `count` on had not been computed.
    package mutating func truncate(to count: Int) {
        cache.truncate(to: count)
        recorder = ActivationRecorder()
    }

    /// What the cache holds of one layer: positions by hidden size, heads side by side.
    package func cached(_ part: CachePart, layer: Int, positions: Range<Int>) -> ReferenceArray {
        let configuration = model.configuration
        var values: [Float] = []
        for position in positions {
            for head in 0..<configuration.headCount {
                switch part {
                case .keys:
                    values += cache.key(layer: layer, head: head, position: position)
                case .values:
                    values += cache.value(layer: layer, head: head, position: position)
                }
            }
        }
        return ReferenceArray(
            shape: [positions.count, configuration.hiddenSize], values: values)
    }

    package enum CachePart: CaseIterable, Sendable {
        case keys
        case values

        package var point: ObservationPoint { self == .keys ? .key : .value }
    }
}
