// Random bits by counting: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3", 2011). The bits of token n need no history, so a job can go on anywhere.
// SPDX-License-Identifier: Apache-2.0

/// The random bits of one job.
package struct SeededGenerator: Sendable, Hashable {
    package let seed: UInt64

    package init(seed: UInt64) {
        self.seed = seed
    }

    /// The bits for the token with this index among those generated.
    package func bits(forToken index: UInt64) -> UInt64 {
        let block = Self.philox(
            counter: [UInt32(truncatingIfNeeded: index), UInt32(index >> 32), 0, 0],
            key: [UInt32(truncatingIfNeeded: seed), UInt32(seed >> 32)])
        return UInt64(block[1]) << 32 | UInt64(block[0])
    }

    /// Ten rounds, with the constants of the paper.
    package static func philox(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
        var counter = counter
        var key = key
        for _ in 0..<10 {
            let first = UInt64(counter[0]) * 0xD251_1F53
            let second = UInt64(counter[2]) * 0xCD9E_8D57
            counter = [
                UInt32(second >> 32) ^ counter[1] ^ key[0],
                UInt32(truncatingIfNeeded: second),
                UInt32(first >> 32) ^ counter[3] ^ key[1],
                UInt32(truncatingIfNeeded: first),
            ]
            key = key &+ [0x9E37_79B9, 0xBB67_AE85]
        }
        return counter
    }
}
