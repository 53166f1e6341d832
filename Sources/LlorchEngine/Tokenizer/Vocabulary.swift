// Bytes of every token in one array, and the way back from bytes to the token.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

/// Token id to bytes.
struct Vocabulary: Sendable {
    private(set) var bytes: [UInt8] = []
    /// Where each token ends in `bytes`, after a leading 0.
    private var ends: [UInt32] = [0]

    var count: Int { ends.count - 1 }

    mutating func append(_ token: some Collection<UInt8>) {
        bytes.append(contentsOf: token)
        ends.append(UInt32(bytes.count))
    }

    /// - Precondition: `token` is below `count`.
    @inline(__always)
    func range(of token: Int) -> Range<Int> {
        Int(ends[token])..<Int(ends[token + 1])
    }
}

/// Bytes to token id: an open-addressing table over the bytes of a vocabulary.
struct TokenTable: Sendable {
    /// High half: upper hash bits, so that most misses read nothing else; low half: id + 1, 0 free.
    private var slots: [UInt64]
    private let shift: UInt64
    private let multiplier: UInt64
    private(set) var longestToken = 0

    /// A table with room for `capacity` tokens.
    init(capacity: Int) {
        let bits = max(4, Int.bitWidth - (capacity * 2).leadingZeroBitCount)
        slots = [UInt64](repeating: 0, count: 1 << bits)
        shift = UInt64(64 - bits)
        multiplier = HashMultiplier.random()
    }

    /// False when equal bytes are in the table already.
    mutating func insert(_ token: Int, of vocabulary: Vocabulary) -> Bool {
        let range = vocabulary.range(of: token)
        let bytes = vocabulary.bytes.span.extracting(range)
        let hash = hash(bytes)
        var slot = Int(hash >> shift)
        while slots[slot] != 0 {
            if slots[slot] >> 32 == hash & 0xFFFF_FFFF,
                equal(bytes, to: Int(slots[slot] & 0xFFFF_FFFF) - 1, of: vocabulary)
            {
                return false
            }
            slot = (slot + 1) & (slots.count - 1)
        }
        slots[slot] = (hash & 0xFFFF_FFFF) << 32 | UInt64(token + 1)
        longestToken = max(longestToken, range.count)
        return true
    }

    @inline(__always)
    func token(of bytes: Span<UInt8>, in vocabulary: Vocabulary) -> TokenID? {
        guard bytes.count <= longestToken else { return nil }
        let hash = hash(bytes)
        var slot = Int(hash >> shift)
        while true {
            let entry = slots[slot]
            if entry == 0 { return nil }
            if entry >> 32 == hash & 0xFFFF_FFFF {
                let token = Int(entry & 0xFFFF_FFFF) - 1
                if equal(bytes, to: token, of: vocabulary) { return TokenID(token) }
            }
            slot = (slot + 1) & (slots.count - 1)
        }
    }

    @inline(__always)
    private func hash(_ bytes: Span<UInt8>) -> UInt64 {
        var hash = UInt64(truncatingIfNeeded: bytes.count)
        for index in bytes.indices {
            hash = (hash ^ UInt64(bytes[index])) &* multiplier
            hash ^= hash >> 32
        }
        return hash &* multiplier
    }

    @inline(__always)
    private func equal(_ bytes: Span<UInt8>, to token: Int, of vocabulary: Vocabulary) -> Bool {
        let range = vocabulary.range(of: token)
        guard range.count == bytes.count else { return false }
        for index in bytes.indices where bytes[index] != vocabulary.bytes[range.lowerBound + index]
        {
            return false
        }
        return true
    }
}

/// Odd factor of a multiplicative hash, drawn anew in each process.
///
/// A file made to collide under a known factor could make loading quadratic. Ids never depend on it. The factor
/// comes from the seed of Swift's own dictionaries, so that SWIFT_DETERMINISTIC_HASHING fixes both where
/// instructions are counted.
enum HashMultiplier {
    static func random() -> UInt64 {
        var hasher = Hasher()
        hasher.combine(0)
        return UInt64(bitPattern: Int64(hasher.finalize())) | 0x8000_0000_0000_0001
    }
}
