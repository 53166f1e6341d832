// Merges the bytes of one piece into tokens: always the pair of the lowest rank, leftmost first.
// Short pieces are scanned again after each merge; long ones keep their pairs in a heap.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

struct BytePairEncoding: Sendable {
    let merges: MergeTable
    /// Token of each single byte.
    let byteTokens: [TokenID]

    /// Longest piece that is scanned; beyond it the heap is faster.
    private static let scanLimit = 48

    /// Appends the tokens of `piece`, which is not empty, to `tokens`.
    func append(_ piece: Span<UInt8>, to tokens: inout [TokenID], scratch: inout MergeHeap) {
        if piece.count > Self.scanLimit {
            scratch.merge(piece, with: self, into: &tokens)
        } else {
            scan(piece, into: &tokens)
        }
    }

    private func scan(_ piece: Span<UInt8>, into tokens: inout [TokenID]) {
        var symbols = InlineArray<48, TokenID>(repeating: 0)
        // Rank of the pair that begins at each symbol; the last begins none.
        var ranks = InlineArray<48, UInt32>(repeating: MergeTable.noRank)
        var count = piece.count
        for index in 0..<count {
            symbols[index] = byteTokens[Int(piece[index])]
        }
        for index in 1..<count {
            ranks[index - 1] = merges.rank(symbols[index - 1], symbols[index])
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
