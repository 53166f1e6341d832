// How weights are held in memory. What each precision does to results: docs/numerics.md; how the bytes lie:
// CLlorchKernels/packing.h. How files store weights is another matter: StoredFormat.swift.
// SPDX-License-Identifier: Apache-2.0

import CLlorchKernels

/// The raw value is the spelling of `--precision` and of the messages of the queue.
package enum Precision: String, Sendable, Hashable, CaseIterable {
    /// 4 bytes a weight; checkpoints are compared at this precision.
    case f32
    /// 2 bytes, widened in registers; products with f32 activations.
    case bf16
    /// Blocks of 32 int8 with a half as scale (8.5 bits), the layout of GGUF's Q8_0; products with int8
    /// activations.
    case q8
    /// Blocks of 32 × 4 bits with a half as scale (4.5 bits), the layout of GGUF's Q4_0; products with int8
    /// activations. Token tables are held as `q8`, except tables that a file stores in Q4_0.
    case q4

    /// How a model of this precision holds a token table or a head that its file stores as floats.
    ///
    /// Rounding these two to 4 bits loses more quality than rounding all other matrices.
    package var ofTables: Precision { self == .q4 ? .q8 : self }

    var format: Int {
        switch self {
        case .f32: Int(LLK_F32.rawValue)
        case .bf16: Int(LLK_BF16.rawValue)
        case .q8: Int(LLK_Q8.rawValue)
        case .q4: Int(LLK_Q4.rawValue)
        }
    }
}

/// A precision, or the one that fits the model's file.
///
/// The raw value is the spelling of `--precision`.
package enum PrecisionChoice: String, Sendable, Hashable, CaseIterable {
    /// What this gives: ModelFile/AutomaticPrecision.swift.
    case auto
    case f32
    case bf16
    case q8
    case q4

    package init(_ precision: Precision) {
        self =
            switch precision {
            case .f32: .f32
            case .bf16: .bf16
            case .q8: .q8
            case .q4: .q4
            }
    }

    /// Nil where the file decides.
    package var precision: Precision? { Precision(rawValue: rawValue) }
}

extension Kernels {
    /// Functions and sizes for weights of one precision.
    func format(_ precision: Precision) -> UnsafePointer<llk_format> {
        // The formats are the first member of the table.
        let formats = unsafe UnsafeRawPointer(table).assumingMemoryBound(to: llk_format.self)
        return unsafe formats + precision.format
    }
}
