// The ways of storing weights that are read, whatever the format of the file calls them.
// Their widening: ElementEncoding+widening.swift.
// SPDX-License-Identifier: Apache-2.0

/// How the values of a tensor lie in a file, little-endian.
package enum ElementEncoding: Sendable, Hashable, CaseIterable {
    case float32
    case float16
    case bfloat16
    /// Blocks of llama.cpp, by its names.
    case q80
    case q40
    case q6K

    /// Values and bytes of the unit that is stored as a whole.
    package var block: (valueCount: Int, byteCount: Int) {
        switch self {
        case .float32: (1, 4)
        case .float16, .bfloat16: (1, 2)
        case .q80: (32, 34)
        case .q40: (32, 18)
        case .q6K: (256, 210)
        }
    }

    /// Whether several values share a scale.
    package var isBlocks: Bool { block.valueCount > 1 }
}
