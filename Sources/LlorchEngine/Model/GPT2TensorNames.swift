// Which tensors a GPT-2 has, with their shapes, by the names of the Hugging Face checkpoint.
// Matrices of the blocks are stored [in, out], so that y = x·W + b.
// SPDX-License-Identifier: Apache-2.0

/// A tensor that a configuration demands.
package struct RequiredTensor: Sendable, Hashable {
    /// Without the prefix `transformer.`.
    package var name: String
    package var shape: [Int]
}

extension GPT2Configuration {
    /// Every tensor, in the order in which a digest takes them; `lm_head.weight` unless it is tied.
    package var requiredTensors: [RequiredTensor] {
        var tensors = [
            RequiredTensor(name: "wte.weight", shape: [vocabularySize, hiddenSize]),
            RequiredTensor(name: "wpe.weight", shape: [contextLength, hiddenSize]),
        ]
        for layer in 0..<layerCount {
            tensors += blockTensors.map { tensor in
                RequiredTensor(name: "h.\(layer).\(tensor.name)", shape: tensor.shape)
            }
        }
        tensors += [
            RequiredTensor(name: "ln_f.weight", shape: [hiddenSize]),
            RequiredTensor(name: "ln_f.bias", shape: [hiddenSize]),
        ]
        if !tieWordEmbeddings {
            tensors.append(
                RequiredTensor(name: "lm_head.weight", shape: [vocabularySize, hiddenSize]))
        }
        return tensors
    }

    private var blockTensors: [RequiredTensor] {
        [
            RequiredTensor(name: "ln_1.weight", shape: [hiddenSize]),
            RequiredTensor(name: "ln_1.bias", shape: [hiddenSize]),
            RequiredTensor(name: "attn.c_attn.weight", shape: [hiddenSize, 3 * hiddenSize]),
            RequiredTensor(name: "attn.c_attn.bias", shape: [3 * hiddenSize]),
            RequiredTensor(name: "attn.c_proj.weight", shape: [hiddenSize, hiddenSize]),
            RequiredTensor(name: "attn.c_proj.bias", shape: [hiddenSize]),
            RequiredTensor(name: "ln_2.weight", shape: [hiddenSize]),
            RequiredTensor(name: "ln_2.bias", shape: [hiddenSize]),
            RequiredTensor(name: "mlp.c_fc.weight", shape: [hiddenSize, feedForwardSize]),
            RequiredTensor(name: "mlp.c_fc.bias", shape: [feedForwardSize]),
            RequiredTensor(name: "mlp.c_proj.weight", shape: [feedForwardSize, hiddenSize]),
            RequiredTensor(name: "mlp.c_proj.bias", shape: [hiddenSize]),
        ]
    }
}
