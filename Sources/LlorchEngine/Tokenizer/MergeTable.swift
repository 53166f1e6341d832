// Which two tokens merge into which, and in what order of preference.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

/// Pair of token ids to rank, lower merges first; an open-addressing table.
struct MergeTable: Sendable {
    /// left << 32 | right; all ones is free.
    private var pairs: [UInt64]
    private var ranks: [UInt32]
    /// The token each merge makes, by rank.
    private(set) var results: [TokenID] = []
    private let shift: UInt64
    private let multiplier: UInt64

    static let noRank = UInt32.max
    private static let free = UInt64.max

    init(capacity: Int) {
        let bits = max(4, Int.bitWidth - (capacity * 2).leadingZeroBitCount)
        pairs = [UInt64](repeating: Self.free, count: 1 << bits)
        ranks = [UInt32](repeating: Self.noRank, count: 1 << bits)
        shift = UInt64(64 - bits)
        multiplier = HashMultiplier.random()
        results.reserveCapacity(capacity)
    }

    /// Adds the merge of the next rank; false when the pair has one already.
    mutating func append(left: TokenID, right: TokenID, result: TokenID) -> Bool {
        let pair = UInt64(left) << 32 | UInt64(right)
        var slot = Int((pair &* multiplier) >> shift)
        while pairs[slot] != Self.free {
            if pairs[slot] == pair { return false }
            slot = (slot + 1) & (pairs.count - 1)
        }
        pairs[slot] = pair
        ranks[slot] = UInt32(results.count)
        results.append(result)
        return true
    }

    /// Rank of the merge of `left` and `right`, `noRank` when they do not merge.
    @inline(__always)
    func rank(_ left: TokenID, _ right: TokenID) -> UInt32 {
        let pair = UInt64(left) << 32 | UInt64(right)
        var slot = Int((pair &* multiplier) >> shift)
        while true {
            let found = pairs[slot]
            if found == pair { return ranks[slot] }
            if found == Self.free { return Self.noRank }
            slot = (slot + 1) & (pairs.count - 1)
        }
    }
}
