// How tensor elements lie in a file (little-endian), and their exact widening to Float.
// SPDX-License-Identifier: Apache-2.0

/// The element types of safetensors whose size is a whole number of bytes.
///
/// Raw values are the format's spelling.
package enum TensorElement: String, Sendable, Hashable, CaseIterable {
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
        case .bool, .uint8, .int8, .float8E5M2, .float8E4M3, .float8E8M0: 1
        case .uint16, .int16, .float16, .bfloat16: 2
        case .uint32, .int32, .float32: 4
        case .uint64, .int64, .float64, .complex64: 8
        }
    }

    /// How weights stored so are read; nil where they may not be.
    package var encoding: ElementEncoding? {
        switch self {
        case .float32: .float32
        case .float16: .float16
        case .bfloat16: .bfloat16
        default: nil
        }
    }
}

extension Float {
    /// The value of an IEEE 754 half; NaN keeps its payload.
    @inline(__always)
    package init(halfBits bits: UInt16) {
        let sign = UInt32(bits & 0x8000) << 16
        let magnitude = UInt32(bits & 0x7FFF)
        // Exponents are biased by 15 there and by 127 here; all ones stays all ones.
        let rebased = (magnitude << 13) &+ (magnitude >= 0x7C00 ? 224 << 23 : 112 << 23)
        // Below 2⁻¹⁴ a half counts in steps of 2⁻²⁴.
        let subnormal = Float(Int32(truncatingIfNeeded: magnitude)) * 0x1p-24
        let widened = magnitude < 0x0400 ? subnormal.bitPattern : rebased
        self.init(bitPattern: sign | widened)
    }

    /// The value of a bfloat16: the upper half of a Float.
    @inline(__always)
    package init(bfloatBits bits: UInt16) {
        self.init(bitPattern: UInt32(bits) << 16)
    }
}

/// Widens little-endian halves into the places from `start` on.
package func widen(halves: Span<UInt16>, into floats: inout MutableSpan<Float>, at start: Int) {
    checkRoom(for: halves, in: floats, at: start)
    for index in halves.indices {
        floats[start &+ index] = Float(halfBits: UInt16(littleEndian: halves[index]))
    }
}

/// Widens little-endian bfloat16 values into the places from `start` on.
package func widen(bfloats: Span<UInt16>, into floats: inout MutableSpan<Float>, at start: Int) {
    checkRoom(for: bfloats, in: floats, at: start)
    for index in bfloats.indices {
        floats[start &+ index] = Float(bfloatBits: UInt16(littleEndian: bfloats[index]))
    }
}

@inline(__always)
private func checkRoom(
    for values: Span<UInt16>, in floats: borrowing MutableSpan<Float>, at start: Int
) {
    precondition(
        start >= 0 && start <= floats.count && values.count <= floats.count - start,
        "\(values.count) values at \(start) in \(floats.count) floats")
}
