// The formats in which files store weights that can be read: name, values and bytes of a block. The one description
// that readers of files, packers and kernels share; sizes of blocks are CLlorchKernels'. Types that are not read have
// names and sizes too, so that they can be refused by name: ModelFile/GGUF/GGUFType.swift.
// SPDX-License-Identifier: Apache-2.0

import CLlorchKernels

/// How the values of a tensor lie in a file, little-endian; the raw value is what safetensors and GGUF call it.
package enum StoredFormat: String, Sendable, Hashable, CaseIterable {
    case float32 = "F32"
    case float16 = "F16"
    case bfloat16 = "BF16"
    /// Blocks of ggml: values that share a scale, and can be packed without a detour through floats. What they
    /// hold: CLlorchKernels/stored_blocks.h.
    case q80 = "Q8_0"
    case q40 = "Q4_0"
    case q6K = "Q6_K"

    package var name: String { rawValue }

    /// Values of the unit that is stored as a whole.
    package var valuesPerBlock: Int {
        switch self {
        case .float32, .float16, .bfloat16: 1
        case .q80, .q40: Int(LLK_UNIT)
        case .q6K: Int(LLK_Q6_K_VALUES)
        }
    }

    /// Bytes of that unit.
    package var bytesPerBlock: Int {
        switch self {
        case .float32: 4
        case .float16, .bfloat16: 2
        case .q80: Int(LLK_Q8_0_BYTES)
        case .q40: Int(LLK_Q4_0_BYTES)
        case .q6K: Int(LLK_Q6_K_BYTES)
        }
    }

    /// Whether several values share a scale.
    package var isBlocks: Bool { valuesPerBlock > 1 }

    /// Bytes of `count` values, which are whole blocks.
    package func byteCount(ofValues count: Int) -> Int {
        precondition(count % valuesPerBlock == 0, "\(count) values in blocks of \(valuesPerBlock)")
        return count / valuesPerBlock * bytesPerBlock
    }

    /// What the kernels call blocks; nil for floats, which they take as floats.
    var blocks: llk_stored? {
        switch self {
        case .float32, .float16, .bfloat16: nil
        case .q80: LLK_STORED_Q8_0
        case .q40: LLK_STORED_Q4_0
        case .q6K: LLK_STORED_Q6_K
        }
    }
}
