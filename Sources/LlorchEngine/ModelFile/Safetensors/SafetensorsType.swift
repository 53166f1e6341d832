// The element types of safetensors: their spelling and their sizes. Sizes of all are needed, so that a type that is
// not read is refused by its name. The counterpart of GGUF/GGUFType.swift.
// SPDX-License-Identifier: Apache-2.0

/// The element types of safetensors whose size is a whole number of bytes.
///
/// Raw values are the format's spelling.
package enum SafetensorsType: String, Sendable, Hashable, CaseIterable {
    case bool = "BOOL"
    case uint8 = "U8"
    case int8 = "I8"
    case float8E5M2 = "F8_E5M2"
    case float8E4M3 = "F8_E4M3"
    case float8E8M0 = "F8_E8M0"
    case uint16 = "U16"
    case int16 = "I16"
    case float16 = "F16"
    case bfloat16 = "BF16"
    case uint32 = "U32"
    case int32 = "I32"
    case float32 = "F32"
    case uint64 = "U64"
    case int64 = "I64"
    case float64 = "F64"
    case complex64 = "C64"

    package var byteCount: Int {
        switch self {
        case .float32: StoredFormat.float32.bytesPerBlock
        case .float16: StoredFormat.float16.bytesPerBlock
        case .bfloat16: StoredFormat.bfloat16.bytesPerBlock
        case .bool, .uint8, .int8, .float8E5M2, .float8E4M3, .float8E8M0: 1
        case .uint16, .int16: 2
        case .uint32, .int32: 4
        case .uint64, .int64, .float64, .complex64: 8
        }
    }

    /// How weights of this type are read; nil where they may not be.
    package var format: StoredFormat? { StoredFormat(rawValue: rawValue) }
}
