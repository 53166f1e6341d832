// A fast 128-bit digest of what a model computes with. Not a cryptographic hash: it tells models
// apart by accident, but a person can make two models with the same digest.
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
        unsafe update(values.bytes) { native in native }
    }

    /// Takes bytes by fours, the first as the lowest.
    ///
    /// - Precondition: there are a multiple of four.
    package mutating func update(units bytes: RawSpan) {
        precondition(bytes.byteCount % 4 == 0, "\(bytes.byteCount) bytes by fours")
        update(bytes) { stored in UInt32(littleEndian: stored) }
    }

    @inline(__always)
    private mutating func update(_ bytes: RawSpan, _ unit: (UInt32) -> UInt32) {
        let total = bytes.byteCount / 4
        var index = 0
        while index < total, count % 8 != 0 {
            append(
                unit(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: index * 4, as: UInt32.self)))
            index += 1
        }
        // Locals, so that the lanes stay in registers.
        var lanes = (lane0, lane1, lane2, lane3)
        let rounds = (total - index) / 8
        for _ in 0..<rounds / Self.strideRounds {
            // One check of bounds for all rounds of a stride.
            let units = bytes.extracting(index * 4..<index * 4 + Self.strideRounds * 32)
            for round in 0..<Self.strideRounds { Self.step(&lanes, units, at: round &* 32, unit) }
            index &+= Self.strideRounds &* 8
        }
        for _ in 0..<rounds % Self.strideRounds {
            Self.step(&lanes, bytes.extracting(index * 4..<index * 4 + 32), at: 0, unit)
            index &+= 8
        }
        (lane0, lane1, lane2, lane3) = lanes
        count &+= UInt64(rounds) * 8
        while index < total {
            append(
                unit(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: index * 4, as: UInt32.self)))
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
        let whole = bytes.count / 4 * 4
        unsafe update(units: bytes.bytes.extracting(first: whole))
        guard whole < bytes.count else { return }
        var unit: UInt32 = 0
        for index in whole..<bytes.count {
            unit |= UInt32(bytes[index]) << (8 * UInt32(index - whole))
        }
        append(unit)
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

    // Digits of √2 and √3, made odd so that multiplying is a bijection. The lanes start with digits of π.
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

    /// Rounds of 32 bytes for which bounds are checked at once.
    private static let strideRounds = 8

    /// One round of the lanes; `units` holds its 32 bytes.
    @inline(__always)
    private static func step(
        _ lanes: inout (UInt64, UInt64, UInt64, UInt64), _ units: RawSpan, at offset: Int,
        _ unit: (UInt32) -> UInt32
    ) {
        lanes.0 = step(lanes.0, word(units, at: offset, unit))
        lanes.1 = step(lanes.1, word(units, at: offset &+ 8, unit))
        lanes.2 = step(lanes.2, word(units, at: offset &+ 16, unit))
        lanes.3 = step(lanes.3, word(units, at: offset &+ 24, unit))
    }

    /// Two neighbours at once: a word of memory where the low one lies first.
    @inline(__always)
    private static func word(
        _ bytes: RawSpan, at offset: Int, _ unit: (UInt32) -> UInt32
    ) -> UInt64 {
        word(
            unit(
                unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt32.self)),
            unit(
                unsafe bytes.unsafeLoadUnaligned(
                    fromUncheckedByteOffset: offset &+ 4, as: UInt32.self)))
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
///
/// One digest takes floats or bytes, never both.
struct OrderedDigest: Sendable {
    private(set) var content = ContentDigest()
    /// The number of floats, or of bytes, that were taken so far.
    private(set) var count = 0

    /// Takes those of the floats that come next in order; ignores floats taken before and floats behind a gap.
    mutating func update(_ floats: Span<Float>, from first: Int) {
        guard first <= count, first + floats.count > count else { return }
        content.update(floats.extracting(droppingFirst: count - first))
        count = first + floats.count
    }

    /// Takes whole groups of four of the bytes that come next; the one to three bytes left over must be given again with
    /// the next slice.
    mutating func update(bytes: RawSpan, from first: Int) {
        guard first <= count, first + bytes.byteCount > count else { return }
        let rest = bytes.extracting(droppingFirst: count - first)
        let whole = rest.extracting(first: rest.byteCount / 4 * 4)
        content.update(units: whole)
        count += whole.byteCount
    }
}
