// The digest depends on every unit and their order, and on nothing else.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import TestSupport
import Testing

struct ContentDigestTests {
    /// Pinned, so that two builds or machines never disagree unnoticed.
    @Test func hasTheSameValueEverywhere() {
        #expect(ContentDigest().hexadecimal == "21101d2ae862e651eea60fe76dbb553f")
        var digest = ContentDigest()
        digest.update("wte.weight")
        digest.update(-3)
        let floats: [Float] = [1, -2.5, 0, -0.0, .infinity, .leastNonzeroMagnitude, 7, 8, 9]
        digest.update(floats.span)
        #expect(digest.hexadecimal == "78cfbdaa783e0207d6eb1736aaf6ad45")
    }

    @Test(arguments: 0..<200 as Range<UInt64>)
    func doesNotDependOnTheCut(seed: UInt64) {
        var random = SplitMix(seed: seed)
        let floats = (0..<Int.random(in: 0...300, using: &random)).map { _ in
            Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &random))
        }
        var whole = ContentDigest()
        whole.update(floats.span)
        var sliced = ContentDigest()
        var start = 0
        while start < floats.count {
            let end = Int.random(in: start...floats.count, using: &random)
            sliced.update(floats.span.extracting(start..<end))
            start = end
        }
        #expect(sliced.hexadecimal == whole.hexadecimal, "seed \(seed), \(floats.count) floats")
    }

    /// One flipped bit, two exchanged units, one more or less at the end.
    @Test(arguments: 0..<200 as Range<UInt64>)
    func changesWithEverything(seed: UInt64) {
        var random = SplitMix(seed: seed)
        let units = (0..<Int.random(in: 2...100, using: &random)).map { _ in
            UInt32.random(in: 0...3, using: &random)
        }
        let original = digest(of: units)
        var flipped = units
        flipped[Int.random(in: units.indices, using: &random)] ^= 1 << (seed % 32)
        #expect(digest(of: flipped) != original, "seed \(seed)")
        #expect(digest(of: units + [0]) != original, "seed \(seed)")
        #expect(digest(of: units.dropLast()) != original, "seed \(seed)")
        var exchanged = units
        exchanged.swapAt(
            Int.random(in: units.indices, using: &random),
            Int.random(in: units.indices, using: &random))
        #expect((digest(of: exchanged) == original) == (exchanged == units), "seed \(seed)")
    }

    /// A flipped bit of the input flips each bit of the digest about every other time.
    @Test func spreadsEveryBit() {
        var flips = [Int](repeating: 0, count: 128)
        let zeros = [UInt32](repeating: 0, count: 16)
        let original = value(of: zeros)
        for position in 0..<16 * 32 {
            var units = zeros
            units[position / 32] = 1 << (position % 32)
            let other = value(of: units)
            for bit in 0..<64 {
                flips[bit] += Int((original.low ^ other.low) >> bit & 1)
                flips[64 + bit] += Int((original.high ^ other.high) >> bit & 1)
            }
        }
        // Binomial(512, 1/2): mean 256, deviation 11.3; the band is six deviations wide.
        #expect(flips.allSatisfy { (188...324).contains($0) }, "\(flips)")
    }

    private func digest(of units: some Collection<UInt32>) -> String {
        var digest = ContentDigest()
        let floats = units.map { Float(bitPattern: $0) }
        digest.update(floats.span)
        return digest.hexadecimal
    }

    private func value(of units: [UInt32]) -> (high: UInt64, low: UInt64) {
        var digest = ContentDigest()
        let floats = units.map { Float(bitPattern: $0) }
        digest.update(floats.span)
        return digest.value
    }
}
