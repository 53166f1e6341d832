// Which two tokens merge into which, and in what order of preference.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

/// Pair of token ids to rank, lower merges first; an open-addressing table.
struct MergeTable: Sendable {
    /// left << 42 | right << 21 | rank; all ones is free.
    private var slots: [UInt64]
    /// The token each merge makes, by rank.
    private(set) var results: [TokenID] = []
    /// Whether no token is made by a merge of a higher rank than one it is used in, as in any table that
    /// was trained: what a merge makes then merges at higher ranks only.
    private(set) var ranksRise = true
    /// Whether a merge has the token as a half.
    private var isUsed: [Bool] = []
    private let shift: UInt64
    private let multiplier: UInt64

    static let noRank = UInt32.max
    private static let free = UInt64.max
    /// Ids and ranks are below `TokenizerParts.maximumTokens`, 2^20.
    private static let fieldBits: UInt64 = 21

    init(capacity: Int) {
        let bits = max(4, Int.bitWidth - (capacity * 2).leadingZeroBitCount)
        slots = [UInt64](repeating: Self.free, count: 1 << bits)
        shift = UInt64(64 - bits)
        multiplier = HashMultiplier.random()
        results.reserveCapacity(capacity)
    }

    /// Adds the merge of the next rank; false when the pair has one already.
    mutating func append(left: TokenID, right: TokenID, result: TokenID) -> Bool {
        let pair = UInt64(left) << Self.fieldBits | UInt64(right)
        var slot = Int((pair &* multiplier) >> shift)
        while slots[slot] != Self.free {
            if slots[slot] >> Self.fieldBits == pair { return false }
            slot = (slot + 1) & (slots.count - 1)
        }
        slots[slot] = pair << Self.fieldBits | UInt64(results.count)
        results.append(result)
        let greatest = Int(max(left, right, result))
        if greatest >= isUsed.count {
            isUsed += [Bool](repeating: false, count: greatest + 1 - isUsed.count)
        }
        isUsed[Int(left)] = true
        isUsed[Int(right)] = true
        if isUsed[Int(result)] { ranksRise = false }
        return true
    }

    /// Rank of the merge of `left` and `right`, `noRank` when they do not merge.
    @inline(__always)
    func rank(_ left: TokenID, _ right: TokenID) -> UInt32 {
        let pair = UInt64(left) << Self.fieldBits | UInt64(right)
        var slot = Int((pair &* multiplier) >> shift)
        while true {
            let found = slots[slot]
            if found >> Self.fieldBits == pair {
                return UInt32(found & (1 << Self.fieldBits - 1))
            }
            if found == Self.free { return Self.noRank }
            slot = (slot + 1) & (slots.count - 1)
        }
    }
}
