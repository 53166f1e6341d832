// The types of ggml by their numbers: names and sizes. Sizes of all are needed, so that a type that is not read is
// refused by its name. Types that are read take name and size from StoredFormat (Tensor/StoredFormat.swift).
// SPDX-License-Identifier: Apache-2.0

/// A type of ggml; the raw value is the format's number.
package enum GGUFType: UInt32, Sendable, Hashable, CaseIterable {
    case float32 = 0
    case float16 = 1
    case q40 = 2
    case q41 = 3
    case q50 = 6
    case q51 = 7
    case q80 = 8
    case q81 = 9
    case q2K = 10
    case q3K = 11
    case q4K = 12
    case q5K = 13
    case q6K = 14
    case q8K = 15
    case iq2XXS = 16
    case iq2XS = 17
    case iq3XXS = 18
    case iq1S = 19
    case iq4NL = 20
    case iq3S = 21
    case iq2S = 22
    case iq4XS = 23
    case int8 = 24
    case int16 = 25
    case int32 = 26
    case int64 = 27
    case float64 = 28
    case iq1M = 29
    case bfloat16 = 30
    case tq10 = 34
    case tq20 = 35
    case mxfp4 = 39

    /// The format's spelling.
    package var name: String { format?.name ?? unread.name }

    /// Values of the unit that is stored as a whole.
    package var valuesPerBlock: Int { format?.valuesPerBlock ?? unread.valueCount }

    /// Bytes of that unit.
    package var bytesPerBlock: Int { format?.bytesPerBlock ?? unread.byteCount }

    /// How weights of this type are read; nil where they may not be.
    package var format: StoredFormat? {
        switch self {
        case .float32: .float32
        case .float16: .float16
        case .bfloat16: .bfloat16
        case .q80: .q80
        case .q40: .q40
        case .q6K: .q6K
        default: nil
        }
    }

    /// Whether several values share a scale.
    package var isQuantized: Bool { valuesPerBlock > 1 }

    /// Name and size of a type that is not read; `format` has those of the types that are.
    private var unread: (name: String, valueCount: Int, byteCount: Int) {
        switch self {
        case .float32, .float16, .bfloat16, .q80, .q40, .q6K: ("", 1, 0)
        case .q41: ("Q4_1", 32, 20)
        case .q50: ("Q5_0", 32, 22)
        case .q51: ("Q5_1", 32, 24)
        case .q81: ("Q8_1", 32, 40)
        case .q2K: ("Q2_K", 256, 84)
        case .q3K: ("Q3_K", 256, 110)
        case .q4K: ("Q4_K", 256, 144)
        case .q5K: ("Q5_K", 256, 176)
        case .q8K: ("Q8_K", 256, 292)
        case .iq2XXS: ("IQ2_XXS", 256, 66)
        case .iq2XS: ("IQ2_XS", 256, 74)
        case .iq3XXS: ("IQ3_XXS", 256, 98)
        case .iq1S: ("IQ1_S", 256, 50)
        case .iq4NL: ("IQ4_NL", 32, 18)
        case .iq3S: ("IQ3_S", 256, 110)
        case .iq2S: ("IQ2_S", 256, 82)
        case .iq4XS: ("IQ4_XS", 256, 136)
        case .int8: ("I8", 1, 1)
        case .int16: ("I16", 1, 2)
        case .int32: ("I32", 1, 4)
        case .int64: ("I64", 1, 8)
        case .float64: ("F64", 1, 8)
        case .iq1M: ("IQ1_M", 256, 56)
        case .tq10: ("TQ1_0", 256, 54)
        case .tq20: ("TQ2_0", 256, 66)
        case .mxfp4: ("MXFP4", 32, 17)
        }
    }
}
