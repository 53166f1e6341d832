// The exact values, as floats, of the numbers that files store. In a block the scale has 11 significant bits and an
// integer at most 8 (in Q6_K 6, and a sub-scale 8), so that no product is rounded, and quantizing the values by the same
// rule gives the same blocks again. Layouts: https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h
// SPDX-License-Identifier: Apache-2.0

extension StoredFormat {
    /// Widens whole blocks into the places from `start` on.
    ///
    /// Blocks are given as little-endian units of two bytes; every format but F32 is made of such units.
    package func widen(
        _ units: Span<UInt16>, into floats: inout MutableSpan<Float>, at start: Int
    ) {
        switch self {
        case .float16: LlorchEngine.widen(halves: units, into: &floats, at: start)
        case .bfloat16: LlorchEngine.widen(bfloats: units, into: &floats, at: start)
        case .q80: widenBlocks(units, into: &floats, at: start, Self.widenQ8Block)
        case .q40: widenBlocks(units, into: &floats, at: start, Self.widenQ4Block)
        case .q6K: widenBlocks(units, into: &floats, at: start, Self.widenQ6Block)
        case .float32: preconditionFailure("F32 is not read in units of two bytes")
        }
    }

    @inline(__always)
    private func widenBlocks(
        _ units: Span<UInt16>, into floats: inout MutableSpan<Float>, at start: Int,
        _ widenBlock: (Span<UInt16>, inout MutableSpan<Float>, Int) -> Void
    ) {
        let (valueCount, byteCount) = (valuesPerBlock, bytesPerBlock)
        let unitCount = byteCount / 2
        let blockCount = units.count / unitCount
        precondition(
            units.count == blockCount * unitCount && start >= 0
                && start + blockCount * valueCount <= floats.count,
            "\(units.count) units of \(self) at \(start) in \(floats.count) floats")
        for index in 0..<blockCount {
            let first = index &* unitCount
            widenBlock(
                units.extracting(first..<first &+ unitCount), &floats, start &+ index &* valueCount)
        }
    }

    /// f16 scale, 32 × int8.
    @inline(__always)
    private static func widenQ8Block(
        _ units: Span<UInt16>, _ floats: inout MutableSpan<Float>, _ start: Int
    ) {
        let scale = Float(halfBits: UInt16(littleEndian: units[0]))
        for index in 0..<16 {
            let pair = UInt16(littleEndian: units[1 &+ index])
            let place = start &+ 2 &* index
            floats[place] = scale * Float(Int8(truncatingIfNeeded: pair))
            floats[place &+ 1] = scale * Float(Int8(truncatingIfNeeded: pair >> 8))
        }
    }

    /// f16 scale, 16 bytes: the first half of the block in their low bits, the second in the high ones.
    ///
    /// Values are 8 too large.
    @inline(__always)
    private static func widenQ4Block(
        _ units: Span<UInt16>, _ floats: inout MutableSpan<Float>, _ start: Int
    ) {
        let scale = Float(halfBits: UInt16(littleEndian: units[0]))
        for index in 0..<8 {
            let pair = Int32(UInt16(littleEndian: units[1 &+ index]))
            let place = start &+ 2 &* index
            floats[place] = scale * Float(pair & 15 &- 8)
            floats[place &+ 1] = scale * Float(pair >> 8 & 15 &- 8)
            floats[place &+ 16] = scale * Float(pair >> 4 & 15 &- 8)
            floats[place &+ 17] = scale * Float(pair >> 12 &- 8)
        }
    }

    /// The low four bits of 256 values, their upper two, 16 × int8 sub-scales of 16 values, f16 scale.
    ///
    /// Values are 32 too large.
    @inline(__always)
    private static func widenQ6Block(
        _ units: Span<UInt16>, _ floats: inout MutableSpan<Float>, _ start: Int
    ) {
        func byte(_ index: Int) -> Int32 {
            Int32(UInt16(littleEndian: units[index / 2]) >> (8 * UInt16(index & 1)) & 0xFF)
        }
        let scale = Float(halfBits: UInt16(littleEndian: units[104]))
        for half in 0..<2 {
            for quarter in 0..<4 {
                // Quarters 0 and 2 are in the low and high bits of 32 bytes, 1 and 3 in the next 32.
                let low = 64 * half + 32 * (quarter & 1)
                let lowShift: Int32 = quarter < 2 ? 0 : 4
                for index in 0..<32 {
                    let upper = byte(128 + 32 * half + index) >> Int32(2 * quarter) & 3
                    let value = byte(low + index) >> lowShift & 15 | upper << 4
                    let subscale = Int8(
                        truncatingIfNeeded: byte(192 + 8 * half + 2 * quarter + index / 16))
                    floats[start + 128 * half + 32 * quarter + index] =
                        scale * Float(subscale) * Float(value &- 32)
                }
            }
        }
    }
}

extension Float {
    /// The value of an IEEE 754 half; NaN keeps its payload.
    @inline(__always)
    package init(halfBits bits: UInt16) {
        let sign = UInt32(bits & 0x8000) << 16
        let magnitude = UInt32(bits & 0x7FFF)
        // Exponents of halves are biased by 15, those of floats by 127; an exponent of all ones stays all ones.
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
