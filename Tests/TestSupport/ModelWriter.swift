// Writes a small model with random weights as a Hugging Face directory, in every variant there is.
// SPDX-License-Identifier: Apache-2.0

package import LlorchEngine

/// How a model is laid out; its weights do not depend on it, apart from rounding.
package struct ModelWriter: Sendable {
    package var configuration: GPT2Configuration
    package var seed: UInt64 = 1
    /// `F32`, `F16` or `BF16`.
    package var dtype = "F32"
    package var prefix = ""
    package var shards = 1
    /// Whether every weight is representable in 16 bits of either kind.
    package var isRounded = false
    /// Written after the model's own, under these very names.
    package var extras: [WrittenTensor] = []
    /// Changes the tensors before they are written.
    package var alter: @Sendable (inout [WrittenTensor]) -> Void = { _ in }

    package init(_ configuration: GPT2Configuration) {
        self.configuration = configuration
    }

    /// The weights in the order of `requiredTensors`.
    package func weights() -> [(name: String, shape: [Int], floats: [Float])] {
        var random = SplitMix(seed: seed)
        return configuration.requiredTensors.map { tensor in
            let floats = (0..<tensor.shape.reduce(1, *)).map { _ in
                // Seven bits and exponents around zero survive bfloat16 and half alike.
                isRounded
                    ? Float(Int.random(in: -127...127, using: &random)) / 64
                    : Float.random(in: -1...1, using: &random)
            }
            return (tensor.name, tensor.shape, floats)
        }
    }

    package func write(to directory: TemporaryDirectory) throws {
        try directory.write(configurationText, to: "config.json")
        var tensors = weights().map { name, shape, floats in
            let stored = name == "lm_head.weight" ? name : prefix + name
            return switch dtype {
            case "F16":
                WrittenTensor(name: stored, shape: shape, halves: floats.map { Float16($0) })
            case "BF16": WrittenTensor(name: stored, shape: shape, bfloatsOf: floats)
            default: WrittenTensor(name: stored, shape: shape, floats: floats)
            }
        }
        tensors += extras
        alter(&tensors)
        guard shards > 1 else {
            try directory.write(safetensors(tensors), to: "model.safetensors")
            return
        }
        var map: [String] = []
        for shard in 0..<shards {
            let name = "model-\(shard + 1)-of-\(shards).safetensors"
            // Every so-many-th tensor, so that neighbours are in different files.
            let part = stride(from: shard, to: tensors.count, by: shards).map { tensors[$0] }
            try directory.write(safetensors(part), to: name)
            map += part.map { #""\#($0.name)": "\#(name)""# }
        }
        try directory.write(
            #"{"metadata": {}, "weight_map": {\#(map.joined(separator: ", "))}}"#,
            to: "model.safetensors.index.json")
    }

    private var configurationText: String {
        """
        {"model_type": "gpt2", "vocab_size": \(configuration.vocabularySize),
         "n_positions": \(configuration.contextLength), "n_embd": \(configuration.hiddenSize),
         "n_layer": \(configuration.layerCount), "n_head": \(configuration.headCount),
         "n_inner": \(configuration.feedForwardSize),
         "layer_norm_epsilon": \(configuration.layerNormEpsilon),
         "tie_word_embeddings": \(configuration.tieWordEmbeddings),
         "eos_token_id": \(configuration.endOfText)}
        """
    }
}
