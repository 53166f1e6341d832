// Philox against the known answers its authors publish with Random123 (kat_vectors, philox4x32 10).
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import Testing

@Suite struct SeededGeneratorTests {
    @Test func knownAnswers() {
        #expect(
            SeededGenerator.philox(counter: [0, 0, 0, 0], key: [0, 0])
                == [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8])
        #expect(
            SeededGenerator.philox(counter: .init(repeating: .max), key: .init(repeating: .max))
                == [0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD])
        #expect(
            SeededGenerator.philox(
                counter: [0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344],
                key: [0xA409_3822, 0x299F_31D0])
                == [0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1])
    }

    /// Seed and index take up both halves of key and counter.
    @Test func everyBitOfSeedAndIndexCounts() {
        let seed: UInt64 = 0x299F_31D0_A409_3822
        var seen: Set<UInt64> = [SeededGenerator(seed: seed).bits(forToken: 7)]
        for bit in 0..<64 {
            seen.insert(SeededGenerator(seed: seed ^ 1 << UInt64(bit)).bits(forToken: 7))
            seen.insert(SeededGenerator(seed: seed).bits(forToken: 7 ^ 1 << UInt64(bit)))
        }
        #expect(seen.count == 129)
    }
}
