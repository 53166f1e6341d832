// SHA-256 (FIPS 180-4), so that reference arrays and models are known to be the ones that were
// compared. For tests only: simple, not hardened, not fast.
// SPDX-License-Identifier: Apache-2.0

package import Foundation

package enum SHA256 {
    /// 64 lowercase hexadecimal digits.
    package static func hexadecimal(of bytes: Data) -> String {
        var state = initialState
        let wholeBlocks = bytes.count / 64
        bytes.withUnsafeBytes { raw in
            for block in 0..<wholeBlocks { absorb(raw, at: 64 * block, into: &state) }
        }
        // The rest, one bit, zeros, and the length in bits, big-endian, in the last eight bytes.
        var tail = [UInt8](bytes.suffix(bytes.count - 64 * wholeBlocks)) + [0x80]
        while tail.count % 64 != 56 { tail.append(0) }
        for shift in stride(from: 56, through: 0, by: -8) {
            tail.append(UInt8(truncatingIfNeeded: (bytes.count * 8) >> shift))
        }
        tail.withUnsafeBytes { raw in
            for offset in stride(from: 0, to: raw.count, by: 64) {
                absorb(raw, at: offset, into: &state)
            }
        }
        return state.map { word in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 8 - digits.count) + digits
        }.joined()
    }

    private static func absorb(
        _ raw: UnsafeRawBufferPointer, at offset: Int, into state: inout [UInt32]
    ) {
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 64) { w in
            for index in 0..<16 {
                w[index] = UInt32(
                    bigEndian: raw.loadUnaligned(
                        fromByteOffset: offset + 4 * index, as: UInt32.self))
            }
            for index in 16..<64 {
                let (old, recent) = (w[index - 15], w[index - 2])
                let s0 = rotate(old, 7) ^ rotate(old, 18) ^ (old >> 3)
                let s1 = rotate(recent, 17) ^ rotate(recent, 19) ^ (recent >> 10)
                w[index] = w[index - 16] &+ s0 &+ w[index - 7] &+ s1
            }
            var (a, b, c, d) = (state[0], state[1], state[2], state[3])
            var (e, f, g, h) = (state[4], state[5], state[6], state[7])
            for index in 0..<64 {
                let s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)
                let first = h &+ s1 &+ ((e & f) ^ (~e & g)) &+ constants[index] &+ w[index]
                let s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)
                let second = s0 &+ ((a & b) ^ (a & c) ^ (b & c))
                (h, g, f, e) = (g, f, e, d &+ first)
                (d, c, b, a) = (c, b, a, first &+ second)
            }
            for (index, word) in [a, b, c, d, e, f, g, h].enumerated() {
                state[index] = state[index] &+ word
            }
        }
    }

    @inline(__always)
    private static func rotate(_ word: UInt32, _ count: UInt32) -> UInt32 {
        word >> count | word << (32 - count)
    }

    /// Fractions of the square roots of the first 8 primes, and of the cube roots of the first 64.
    private static let initialState: [UInt32] = primes(8).map {
        fraction(of: Double($0).squareRoot())
    }
    private static let constants: [UInt32] = primes(64).map { fraction(of: cbrt(Double($0))) }

    private static func fraction(of value: Double) -> UInt32 {
        UInt32((value - value.rounded(.down)) * 4_294_967_296)
    }

    private static func primes(_ count: Int) -> [Int] {
        var found: [Int] = []
        var candidate = 2
        while found.count < count {
            if found.allSatisfy({ candidate % $0 != 0 }) { found.append(candidate) }
            candidate += 1
        }
        return found
    }
}
