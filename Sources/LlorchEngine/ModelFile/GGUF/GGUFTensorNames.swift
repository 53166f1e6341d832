// What llama.cpp calls the tensors of a GPT-2. Matrices of the blocks are stored [out, in], the other
// way round than in a Hugging Face checkpoint; GPT2TensorNames.swift has those.
// SPDX-License-Identifier: Apache-2.0

extension RequiredTensor {
    /// Name and shape in a GGUF file, rows first.
    var inGGUF: RequiredTensor {
        let isInBlock = name.hasPrefix("h.")
        return RequiredTensor(
            name: Self.ggufName(name), shape: isInBlock ? shape.reversed() : shape)
    }

    private static func ggufName(_ name: String) -> String {
        let parts = name.split(separator: ".")
        guard parts.first == "h", parts.count > 3, let ending = parts.last else {
            let part = parts.first.flatMap { outside[String($0)] }
            return [part ?? name, parts.last.map(String.init) ?? ""].joined(separator: ".")
        }
        let part = parts[2..<parts.count - 1].joined(separator: ".")
        return "blk.\(parts[1]).\(inBlock[part] ?? part).\(ending)"
    }

    private static let outside = [
        "wte": "token_embd", "wpe": "position_embd", "ln_f": "output_norm", "lm_head": "output",
    ]

    private static let inBlock = [
        "ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
        "ln_2": "ffn_norm", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down",
    ]
}
