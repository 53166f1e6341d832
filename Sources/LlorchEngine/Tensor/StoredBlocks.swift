// Blocks of weights as a GGUF file stores them, to be packed without a detour through floats.
// What they hold: CLlorchKernels/stored_blocks.h. Reading them: ModelFile.
// SPDX-License-Identifier: Apache-2.0

import CLlorchKernels

/// A kind of block, by llama.cpp's names in lower case.
package enum StoredBlocks: Sendable, Hashable, CaseIterable {
    case q80
    case q40
    case q6K

    package var valueCount: Int { self == .q6K ? 256 : 32 }

    package var byteCount: Int {
        switch self {
        case .q80: 34
        case .q40: 18
        case .q6K: 210
        }
    }

    var kind: llk_stored {
        switch self {
        case .q80: LLK_STORED_Q8_0
        case .q40: LLK_STORED_Q4_0
        case .q6K: LLK_STORED_Q6_K
        }
    }
}
