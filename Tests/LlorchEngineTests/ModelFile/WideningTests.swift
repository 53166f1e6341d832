// Widening is exact for every bit pattern, against the definition of the formats.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import Testing

struct WideningTests {
    @Test func widensEveryHalf() {
        let patterns = (0...UInt16.max).map { $0.littleEndian }
        var floats = [Float](repeating: 0, count: patterns.count + 3)
        var span = floats.mutableSpan
        widen(halves: patterns.span, into: &span, at: 3)
        var wrong: [UInt16] = []
        for bits in 0...UInt16.max {
            let expected = defined(bits, exponentBits: 5, fractionBits: 10)
            let actual = floats[3 + Int(bits)]
            let isRight =
                expected.isNaN
                ? actual.isNaN && actual.bitPattern & 0x7F_FFFF == UInt32(bits & 0x3FF) << 13
                : Double(actual) == expected
            if !isRight || (actual.sign == .minus) != (bits >= 0x8000) { wrong.append(bits) }
        }
        #expect(wrong.isEmpty, "\(wrong.count) patterns, first \(wrong.prefix(5))")
        #expect(floats[0..<3] == [0, 0, 0])
    }

    @Test func widensEveryBfloat() {
        let patterns = (0...UInt16.max).map { $0.littleEndian }
        var floats = [Float](repeating: 0, count: patterns.count)
        var span = floats.mutableSpan
        widen(bfloats: patterns.span, into: &span, at: 0)
        var wrong: [UInt16] = []
        for bits in 0...UInt16.max {
            let expected = defined(bits, exponentBits: 8, fractionBits: 7)
            let actual = floats[Int(bits)]
            let isRight = expected.isNaN ? actual.isNaN : Double(actual) == expected
            if !isRight || (actual.sign == .minus) != (bits >= 0x8000) { wrong.append(bits) }
        }
        #expect(wrong.isEmpty, "\(wrong.count) patterns, first \(wrong.prefix(5))")
    }

    /// (-1)^s · 2^(e - bias) · 1.f, and so on: IEEE 754 section 3.4 in doubles, which hold it exactly.
    private func defined(_ bits: UInt16, exponentBits: Int, fractionBits: Int) -> Double {
        let fraction = Double(bits & (1 << fractionBits - 1)) * power(-fractionBits)
        let exponent = Int(bits >> fractionBits) & (1 << exponentBits - 1)
        let bias = 1 << (exponentBits - 1) - 1
        let sign: Double = bits >> 15 == 1 ? -1 : 1
        if exponent == 1 << exponentBits - 1 { return fraction == 0 ? sign * .infinity : .nan }
        if exponent == 0 { return sign * fraction * power(1 - bias) }
        return sign * (1 + fraction) * power(exponent - bias)
    }

    private func power(_ exponent: Int) -> Double {
        var result = 1.0
        for _ in 0..<abs(exponent) { result *= exponent < 0 ? 0.5 : 2 }
        return result
    }
}
