// The record of a job's tokens: nothing is lost or merged in it, and it takes the memory that it says.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import LlorchProtocol
import LlorchQueue
import TestSupport
import Testing

@Suite struct TokenRecordTests {
    /// Pieces of random lengths, one after another from `first` on.
    private func randomPieces(
        _ count: Int, from first: Int, tokens: ClosedRange<Int>, alternatives: Int? = nil,
        _ random: inout SplitMix
    ) -> [TokenEvent.TokenPiece] {
        var index = first
        return (0..<count).map { _ in
            let ids = (0..<Int.random(in: tokens, using: &random)).map { _ in
                TokenID.random(in: 0..<50_257, using: &random)
            }
            defer { index += ids.count }
            return .init(
                text: ids.map { "é\($0) " }.joined(), ids: ids, index: index,
                logProbabilities: alternatives.map { count in
                    ids.map { logProbability(of: $0, alternatives: count) }
                } ?? [])
        }
    }

    private func logProbability(of id: TokenID, alternatives: Int) -> TokenLogProbability {
        TokenLogProbability(
            id: id, bytes: Array("é\(id) ".utf8), logProbability: -Double(id),
            top: (0..<alternatives).map { rank in
                .init(id: TokenID(rank), bytes: [7], logProbability: -Double(rank))
            })
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func piecesComeBackAsTheyWere(seed: UInt64) {
        var random = SplitMix(seed: seed)
        let first = Int.random(in: 0...5, using: &random)
        let pieces = randomPieces(
            40, from: first, tokens: 1...3, alternatives: [nil, 0, 2][Int(seed % 3)], &random)
        var record = TokenRecord()
        for piece in pieces { record.append(piece) }
        record.close()
        #expect(record.pieces == pieces, "seed \(seed)")
        #expect(record.ids == pieces.flatMap(\.ids), "seed \(seed)")
        let ends = Set(pieces.map { $0.index + $0.ids.count })
        for held in 0...(first + record.ids.count + 1) {
            #expect(record.hasEnd(at: held) == ends.contains(held), "seed \(seed), \(held) held")
            let missed = record.pieces(after: held)
            let wanted = pieces.filter { $0.index + $0.ids.count > held }
            #expect(missed.count <= 1, "seed \(seed): short pieces are one event")
            #expect(missed.map(\.text).joined() == wanted.map(\.text).joined(), "seed \(seed)")
            #expect(missed.flatMap(\.ids) == wanted.flatMap(\.ids), "seed \(seed)")
            #expect(
                missed.flatMap(\.logProbabilities) == wanted.flatMap(\.logProbabilities),
                "seed \(seed)")
        }
    }

    /// malloc_usable_size(3), which the module Glibc leaves out.
    private static func usableSize() throws
        -> @convention(c) (UnsafeMutableRawPointer) -> Int
    {
        let address = try #require(dlsym(nil, "malloc_usable_size"))
        return unsafeBitCast(
            address, to: (@convention(c) (UnsafeMutableRawPointer) -> Int).self)
    }

    /// Of the record's arrays: what the allocator gave, and eight bytes of its own for each.
    private func allocated(_ record: TokenRecord) throws -> Int {
        let usableSize = try Self.usableSize()
        /// An array's elements begin 32 bytes behind the start of its allocation.
        func bytes<Element>(_ array: [Element]) -> Int {
            guard array.capacity > 0 else { return 0 }
            return array.withUnsafeBufferPointer { buffer in
                guard let start = buffer.baseAddress else { return 0 }
                return usableSize(UnsafeMutableRawPointer(mutating: start) - 32) + 8
            }
        }
        func total(_ value: some Any) -> Int {
            (value as? [TokenID]).map(bytes) ?? (value as? [UInt8]).map(bytes) ?? 0
        }
        let arrays = Mirror(reflecting: record).children
        let ends = arrays.first { $0.label == "ends" }.map { Mirror(reflecting: $0.value) }
        // The ends are of a private type, eight bytes each in an array that grows by powers of two.
        let count = ends?.children.count ?? 0
        return arrays.reduce(8 * count) { $0 + total($1.value) }
    }

    /// Merged pieces of 64 KiB are what a worker sends to a reader that is far behind.
    @Test(arguments: [(20_000, 1...3), (40, 5_000...5_400)])
    func itTakesTheMemoryThatItSays(count: Int, tokens: ClosedRange<Int>) throws {
        var random = SplitMix(seed: 1)
        var record = TokenRecord()
        for piece in randomPieces(count, from: 0, tokens: tokens, &random) {
            record.append(piece)
            if count <= 40 {
                let allocated = try allocated(record)
                #expect(record.bytes >= allocated)
            }
        }
        for isClosed in [false, true] {
            if isClosed { record.close() }
            let allocated = try allocated(record)
            #expect(record.bytes >= allocated, "closed: \(isClosed)")
            // The array of ends may have twice the room it needs.
            #expect(record.bytes <= allocated + 3 * 48 + 8 * 2 * count, "closed: \(isClosed)")
        }
        let used = record.pieces.reduce(0) { $0 + $1.text.utf8.count + 4 * $1.ids.count + 8 }
        #expect(record.bytes <= used + used / 20 + 3 * 64, "closed, nothing is kept for more")
    }
}
