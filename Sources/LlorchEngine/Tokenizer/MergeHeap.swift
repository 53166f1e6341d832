// Byte-pair merging for long pieces, whatever the order of the merges: a linked list of symbols and a heap
// of their pairs. n log n for any text and any table; MergeBuckets.swift is linear for trained tables.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

/// Buffers of one text's long pieces; grown on the first, then used again.
struct MergeHeap {
    private var symbols: [TokenID] = []
    /// Rank of the pair that begins at each symbol, `noRank` once the symbol is merged away.
    private var ranks: [UInt32] = []
    private var next: [Int32] = []
    private var previous: [Int32] = []
    /// rank << 32 | position, least first; an entry whose rank is no longer its symbol's is stale.
    private var heap: [UInt64] = []
    /// Everything done that depends on the text, for tests that time is n log n.
    private(set) var stepCount = 0

    private static let none: Int32 = -1

    mutating func merge(
        _ piece: Span<UInt8>, with encoding: BytePairEncoding, into tokens: inout [TokenID]
    ) {
        precondition(
            piece.count < Int(Int32.max), "piece of \(piece.count) bytes, limit \(Int32.max)")
        load(piece, encoding)
        while let entry = popLeast() {
            let left = Int(entry & 0xFFFF_FFFF)
            let rank = UInt32(entry >> 32)
            guard ranks[left] == rank else { continue }
            let right = Int(next[left])
            symbols[left] = encoding.merges.results[Int(rank)]
            ranks[right] = MergeTable.noRank
            next[left] = next[right]
            if next[left] != Self.none {
                previous[Int(next[left])] = Int32(left)
            }
            updatePair(at: left, encoding.merges)
            if previous[left] != Self.none {
                updatePair(at: Int(previous[left]), encoding.merges)
            }
        }
        var position: Int32 = 0
        while position != Self.none {
            tokens.append(symbols[Int(position)])
            position = next[Int(position)]
        }
    }

    private mutating func load(_ piece: Span<UInt8>, _ encoding: BytePairEncoding) {
        symbols.removeAll(keepingCapacity: true)
        ranks.removeAll(keepingCapacity: true)
        next.removeAll(keepingCapacity: true)
        previous.removeAll(keepingCapacity: true)
        heap.removeAll(keepingCapacity: true)
        for index in piece.indices {
            symbols.append(encoding.byteTokens[Int(piece[index])])
            ranks.append(MergeTable.noRank)
            next.append(index + 1 < piece.count ? Int32(index + 1) : Self.none)
            previous.append(Int32(index) - 1)
        }
        for index in piece.indices {
            updatePair(at: index, encoding.merges)
        }
        stepCount += piece.count
    }

    private mutating func updatePair(at left: Int, _ merges: MergeTable) {
        let right = next[left]
        let rank =
            right == Self.none
            ? MergeTable.noRank : merges.rank(symbols[left], symbols[Int(right)])
        ranks[left] = rank
        if rank != MergeTable.noRank {
            push(UInt64(rank) << 32 | UInt64(left))
        }
    }

    private mutating func push(_ entry: UInt64) {
        var child = heap.count
        heap.append(entry)
        while child > 0 {
            let parent = (child - 1) / 2
            stepCount += 1
            guard entry < heap[parent] else { break }
            heap[child] = heap[parent]
            child = parent
        }
        heap[child] = entry
    }

    private mutating func popLeast() -> UInt64? {
        guard let last = heap.popLast() else { return nil }
        guard let least = heap.first else { return last }
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < heap.count else { break }
            stepCount += 1
            if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
            guard heap[child] < last else { break }
            heap[parent] = heap[child]
            parent = child
        }
        heap[parent] = last
        return least
    }
}
