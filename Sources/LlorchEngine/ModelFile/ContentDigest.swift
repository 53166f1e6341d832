// A fast 128-bit digest of what a model computes with. Not a cryptographic hash: it tells models
// apart, and proves nothing against a person who wants two of them to look alike.
// SPDX-License-Identifier: Apache-2.0

/// A digest over a sequence of 32-bit units; the same on every machine, however the sequence is cut.
///
/// Four lanes of 64 bits take two units each in turn. A lane's step adds the multiplied units,
/// rotates and multiplies; each step is a bijection of the lane and of the units, so that two
/// sequences that differ in one place only always leave different lanes.
package struct ContentDigest: Sendable, Hashable {
    private var lane0: UInt64 = 0x243F_6A88_85A3_08D3
    private var lane1: UInt64 = 0x1319_8A2E_0370_7344
    private var lane2: UInt64 = 0xA409_3822_299F_31D0
    private var lane3: UInt64 = 0x082E_FA98_EC4E_6C89
    /// Units that do not fill a round of the lanes yet: the first `count % 8`.
    private var pending: SIMD8<UInt32> = .zero
    private var count: UInt64 = 0

    package init() {}

    /// Takes the bit patterns of `values`.
    package mutating func update(_ values: Span<Float>) {
        var index = 0
        while index < values.count, count % 8 != 0 {
            append(values[index].bitPattern)
            index += 1
        }
        let rounds = (values.count - index) / 8
        // Locals, so that the lanes stay in registers.
        var (a, b, c, d) = (lane0, lane1, lane2, lane3)
        for _ in 0..<rounds {
            // One check of bounds for all eight.
            let units = values.extracting(index..<index + 8)
            a = Self.step(a, Self.word(units[0], units[1]))
            b = Self.step(b, Self.word(units[2], units[3]))
            c = Self.step(c, Self.word(units[4], units[5]))
            d = Self.step(d, Self.word(units[6], units[7]))
            index &+= 8
        }
        (lane0, lane1, lane2, lane3) = (a, b, c, d)
        count &+= UInt64(rounds) * 8
        while index < values.count {
            append(values[index].bitPattern)
            index += 1
        }
    }

    package mutating func update(_ value: UInt64) {
        append(UInt32(truncatingIfNeeded: value))
        append(UInt32(truncatingIfNeeded: value >> 32))
    }

    package mutating func update(_ value: Int) {
        update(UInt64(bitPattern: Int64(value)))
    }

    /// Takes the length in bytes, then the bytes by fours, the last unit filled up with zeros.
    package mutating func update(_ bytes: Span<UInt8>) {
        update(bytes.count)
        var unit: UInt32 = 0
        var shift: UInt32 = 0
        for index in bytes.indices {
            unit |= UInt32(bytes[index]) << shift
            shift += 8
            if shift == 32 {
                append(unit)
                (unit, shift) = (0, 0)
            }
        }
        if shift > 0 { append(unit) }
    }

    package mutating func update(_ text: String) {
        let bytes = Array(text.utf8)
        update(bytes.span)
    }

    /// Takes the value of another digest.
    package mutating func update(_ other: ContentDigest) {
        let value = other.value
        update(value.high)
        update(value.low)
    }

    /// The digest of everything taken so far.
    package var value: (high: UInt64, low: UInt64) {
        var padded = self
        while padded.count % 8 != 0 { padded.append(0) }
        var high = Self.multiplier0 ^ count
        var low = Self.multiplier1 &+ count
        for lane in [padded.lane0, padded.lane1, padded.lane2, padded.lane3] {
            high = Self.avalanche(Self.step(high, lane))
            low = Self.avalanche(Self.step(low, lane ^ high))
        }
        return (high, low)
    }

    /// 32 lowercase digits.
    package var hexadecimal: String {
        let value = value
        return Self.digits(value.high) + Self.digits(value.low)
    }

    // Odd, so that multiplying loses nothing: the fractions of √2 and √3. Lanes start with π's.
    private static let multiplier0: UInt64 = 0x6A09_E667_F3BC_C909
    private static let multiplier1: UInt64 = 0xBB67_AE85_84CA_A73B

    private mutating func append(_ unit: UInt32) {
        pending[Int(count % 8)] = unit
        count &+= 1
        if count % 8 == 0 {
            lane0 = Self.step(lane0, Self.word(pending[0], pending[1]))
            lane1 = Self.step(lane1, Self.word(pending[2], pending[3]))
            lane2 = Self.step(lane2, Self.word(pending[4], pending[5]))
            lane3 = Self.step(lane3, Self.word(pending[6], pending[7]))
        }
    }

    @inline(__always)
    private static func word(_ low: UInt32, _ high: UInt32) -> UInt64 {
        UInt64(low) | UInt64(high) << 32
    }

    @inline(__always)
    private static func word(_ low: Float, _ high: Float) -> UInt64 {
        word(low.bitPattern, high.bitPattern)
    }

    @inline(__always)
    private static func step(_ lane: UInt64, _ word: UInt64) -> UInt64 {
        let mixed = lane &+ word &* multiplier0
        return (mixed << 29 | mixed >> 35) &* multiplier1
    }

    /// Every bit of the argument reaches every bit of the result.
    private static func avalanche(_ value: UInt64) -> UInt64 {
        var value = value
        value = (value ^ value >> 32) &* multiplier0
        value = (value ^ value >> 29) &* multiplier1
        return value ^ value >> 32
    }

    private static func digits(_ value: UInt64) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }
}

/// A digest of a sequence that is read in any order, but for the most part from its beginning.
struct OrderedDigest: Sendable {
    private(set) var content = ContentDigest()
    /// How many of the first floats it has taken.
    private(set) var count = 0

    /// Takes what comes next in order, and ignores what it had already or cannot take yet.
    mutating func update(_ floats: Span<Float>, from first: Int) {
        guard first <= count, first + floats.count > count else { return }
        content.update(floats.extracting(droppingFirst: count - first))
        count = first + floats.count
    }
}
