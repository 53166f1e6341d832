// Byte-pair merging for long pieces in linear time, for tables whose ranks only rise: a linked list of
// symbols, threaded by lists of the pairs of one rank. Other tables: MergeHeap.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

/// Buffers of one text's long pieces; grown on the first, then used again.
///
/// A merge makes pairs of higher ranks only, so the ranks are gone through once, upward, and all pairs
/// of a rank are there when it is its turn. Which of them is merged first matters only where they
/// overlap, in a run of equal symbols; a run is merged from its left end.
struct MergeBuckets {
    /// A symbol, and the pair it begins.
    private struct Place {
        var symbol: TokenID
        /// Of the pair, `noRank` where it does not merge.
        var rank = MergeTable.noRank
        var next: Int32
        var previous: Int32
        /// Neighbours in the list of the pairs of this rank.
        var after = none
        var before = none
    }

    private var places: [Place] = []
    /// The first of the pairs of each rank.
    private var firstOfRank: [Int32] = []
    /// A bit for each rank that has pairs.
    private var ranksPresent: [UInt64] = []
    /// Everything done that depends on the text, for tests that time is linear.
    private(set) var stepCount = 0

    private static let none: Int32 = -1

    /// - Precondition: the table's ranks rise.
    mutating func merge(
        _ piece: Span<UInt8>, with encoding: BytePairEncoding, into tokens: inout [TokenID]
    ) {
        precondition(
            piece.count < Int(Int32.max), "piece of \(piece.count) bytes, limit \(Int32.max)")
        load(piece, encoding)
        var word = 0
        while word < ranksPresent.count {
            let bits = ranksPresent[word]
            guard bits != 0 else {
                word += 1
                continue
            }
            ranksPresent[word] = bits & (bits - 1)
            mergePairs(ofRank: word * 64 + bits.trailingZeroBitCount, encoding.merges)
        }
        var position: Int32 = 0
        while position != Self.none {
            tokens.append(places[Int(position)].symbol)
            position = places[Int(position)].next
        }
    }

    private mutating func load(_ piece: Span<UInt8>, _ encoding: BytePairEncoding) {
        if firstOfRank.isEmpty {
            let count = encoding.merges.results.count
            firstOfRank = [Int32](repeating: Self.none, count: count)
            ranksPresent = [UInt64](repeating: 0, count: (count + 63) / 64)
        }
        places.removeAll(keepingCapacity: true)
        places.reserveCapacity(piece.count)
        for index in piece.indices {
            places.append(
                Place(
                    symbol: encoding.byteTokens[Int(piece[index])],
                    next: index + 1 < piece.count ? Int32(index + 1) : Self.none,
                    previous: Int32(index) - 1))
        }
        // From the right, so that each list begins at its leftmost pair.
        for index in places.indices.reversed() { link(index, encoding.merges) }
        stepCount += piece.count
    }

    private mutating func mergePairs(ofRank rank: Int, _ merges: MergeTable) {
        while firstOfRank[rank] != Self.none {
            var left = firstOfRank[rank]
            while places[Int(left)].previous != Self.none,
                places[Int(places[Int(left)].previous)].rank == UInt32(rank)
            {
                left = places[Int(left)].previous
                stepCount += 1
            }
            while left != Self.none, places[Int(left)].rank == UInt32(rank) {
                merge(at: Int(left), into: merges.results[rank], merges)
                left = places[Int(left)].next
                stepCount += 1
            }
        }
    }

    private mutating func merge(at left: Int, into result: TokenID, _ merges: MergeTable) {
        let right = Int(places[left].next)
        unlink(left)
        unlink(right)
        let next = places[right].next
        places[left].symbol = result
        places[left].next = next
        if next != Self.none { places[Int(next)].previous = Int32(left) }
        link(left, merges)
        let previous = places[left].previous
        if previous != Self.none {
            unlink(Int(previous))
            link(Int(previous), merges)
        }
    }

    /// Puts the pair that begins at `left`, which is in no list, into that of its rank.
    private mutating func link(_ left: Int, _ merges: MergeTable) {
        let next = places[left].next
        guard next != Self.none else { return }
        let rank = merges.rank(places[left].symbol, places[Int(next)].symbol)
        guard rank != MergeTable.noRank else { return }
        let first = firstOfRank[Int(rank)]
        places[left].rank = rank
        places[left].before = Self.none
        places[left].after = first
        if first == Self.none {
            ranksPresent[Int(rank >> 6)] |= 1 << UInt64(rank & 63)
        } else {
            places[Int(first)].before = Int32(left)
        }
        firstOfRank[Int(rank)] = Int32(left)
    }

    private mutating func unlink(_ left: Int) {
        let place = places[left]
        guard place.rank != MergeTable.noRank else { return }
        if place.before == Self.none {
            firstOfRank[Int(place.rank)] = place.after
        } else {
            places[Int(place.before)].after = place.after
        }
        if place.after != Self.none { places[Int(place.after)].before = place.before }
        places[left].rank = MergeTable.noRank
    }
}
