// Merges the bytes of one piece into tokens: always the pair of the lowest rank, leftmost first.
// Short pieces are scanned again after each merge; long ones keep their pairs in order.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

struct BytePairEncoding: Sendable {
    let merges: MergeTable
    /// Token of each single byte; 0 where it has none.
    let byteTokens: [TokenID]
    /// The bytes without a token, which are left out of every text.
    private let isMissing: [Bool]
    private let isComplete: Bool
    /// Rank of each pair of bytes, first << 8 | second: most look-ups are the first of a piece.
    private let bytePairRanks: [UInt32]

    /// Longest piece that is scanned; beyond it keeping pairs in order is faster.
    private static let scanLimit = 48

    init(merges: MergeTable, byteTokens: [TokenID?]) {
        self.merges = merges
        self.byteTokens = byteTokens.map { $0 ?? 0 }
        isMissing = byteTokens.map { $0 == nil }
        isComplete = !byteTokens.contains(nil)
        var ranks: [UInt32] = []
        ranks.reserveCapacity(1 << 16)
        for left in byteTokens {
            for right in byteTokens {
                if let left, let right {
                    ranks.append(merges.rank(left, right))
                } else {
                    ranks.append(MergeTable.noRank)
                }
            }
        }
        bytePairRanks = ranks
    }

    /// Appends the tokens of `piece`, which is not empty, to `tokens`.
    func append(_ piece: Span<UInt8>, to tokens: inout [TokenID], scratch: inout MergeScratch) {
        if isComplete || !piece.indices.contains(where: { isMissing[Int(piece[$0])] }) {
            merge(piece, to: &tokens, scratch: &scratch)
            return
        }
        var kept: [UInt8] = []
        for index in piece.indices where !isMissing[Int(piece[index])] { kept.append(piece[index]) }
        if !kept.isEmpty { merge(kept.span, to: &tokens, scratch: &scratch) }
    }

    private func merge(
        _ piece: Span<UInt8>, to tokens: inout [TokenID], scratch: inout MergeScratch
    ) {
        if piece.count <= Self.scanLimit {
            scan(piece, into: &tokens)
        } else if merges.ranksRise {
            scratch.buckets.merge(piece, with: self, into: &tokens)
        } else {
            scratch.heap.merge(piece, with: self, into: &tokens)
        }
    }

    private func scan(_ piece: Span<UInt8>, into tokens: inout [TokenID]) {
        var symbols = InlineArray<48, TokenID>(repeating: 0)
        // Rank of the pair that begins at each symbol; the last begins none.
        var ranks = InlineArray<48, UInt32>(repeating: MergeTable.noRank)
        var count = piece.count
        symbols[0] = byteTokens[Int(piece[0])]
        for index in 1..<count {
            symbols[index] = byteTokens[Int(piece[index])]
            ranks[index - 1] = bytePairRanks[Int(piece[index - 1]) << 8 | Int(piece[index])]
        }
        while count > 1 {
            var best = 0
            for index in 1..<count where ranks[index] < ranks[best] {
                best = index
            }
            guard ranks[best] != MergeTable.noRank else { break }
            symbols[best] = merges.results[Int(ranks[best])]
            count -= 1
            for index in best + 1..<count {
                symbols[index] = symbols[index + 1]
                ranks[index] = ranks[index + 1]
            }
            ranks[count] = MergeTable.noRank
            ranks[best] =
                best + 1 < count
                ? merges.rank(symbols[best], symbols[best + 1]) : MergeTable.noRank
            if best > 0 {
                ranks[best - 1] = merges.rank(symbols[best - 1], symbols[best])
            }
        }
        for index in 0..<count {
            tokens.append(symbols[index])
        }
    }
}

/// What merging the long pieces of one text needs.
struct MergeScratch {
    fileprivate var buckets = MergeBuckets()
    fileprivate var heap = MergeHeap()

    /// Steps of all long pieces so far; a short one takes a bounded number.
    var stepCount: Int { buckets.stepCount + heap.stepCount }
}
