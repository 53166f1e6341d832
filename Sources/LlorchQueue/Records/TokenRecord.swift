// What a job has said so far, close together in memory, for readers that missed some of it: on the worker's side and
// in the HTTP server's streams. Which jobs are kept, and how long, is their owners' affair.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

/// The tokens of one job in the pieces in which they came.
///
/// A piece costs eight bytes beside its text and ids; as a `TokenPiece` of its own it would be some 130.
package struct TokenRecord: Sendable, Hashable {
    /// Where a piece ends in `ids` and in `text`; a character is never cut.
    private struct End: Sendable, Hashable {
        var ids: Int32 = 0
        var bytes: Int32 = 0
    }

    /// Number of token ids before the first piece.
    private var firstIndex = 0
    /// The token ids of all pieces.
    package private(set) var ids: [TokenID] = []
    /// UTF-8.
    private var text: [UInt8] = []
    private var ends: [End] = []
    /// One for each id where the job asked for them, else none.
    private var logProbabilities: [TokenLogProbability] = []
    /// Memory of the arrays inside `logProbabilities`, with the values themselves.
    private var logProbabilityBytes = 0

    package init() {}

    /// Bytes of memory that the record takes: the room of its arrays, whether it is used or kept for more, and
    /// for each array at most 48 bytes of its header and the allocator's.
    package var bytes: Int {
        (logProbabilities.isEmpty ? 3 : 4) * 48 + MemoryLayout<TokenID>.stride * ids.capacity
            + text.capacity
            + MemoryLayout<End>.stride * ends.capacity + logProbabilityBytes
            + MemoryLayout<TokenLogProbability>.stride
            * (logProbabilities.capacity - logProbabilities.count)
    }

    package var isEmpty: Bool { ends.isEmpty }

    /// - Precondition: the piece follows the last one at once.
    package mutating func append(_ piece: TokenEvent.TokenPiece) {
        if ends.isEmpty { firstIndex = piece.index }
        precondition(
            piece.index == firstIndex + ids.count,
            "a piece at token \(piece.index) cannot follow token \(firstIndex + ids.count)")
        ids += piece.ids
        // Other numbers than those of all ids would be told of the wrong tokens.
        if logProbabilities.count + piece.logProbabilities.count == ids.count {
            logProbabilities += piece.logProbabilities
            logProbabilityBytes += piece.logProbabilities.reduce(0) { $0 + $1.memoryBytes }
        }
        text += piece.text.utf8
        ends.append(End(ids: Int32(ids.count), bytes: Int32(text.count)))
    }

    /// Gives back the room that was kept for more.
    package mutating func close() {
        ids = ids.map { $0 }
        text = text.map { $0 }
        ends = ends.map { $0 }
        logProbabilities = logProbabilities.map { $0 }
    }

    /// Whether a piece ends where a reader holds this many tokens.
    package func hasEnd(at held: Int) -> Bool {
        ends.contains { firstIndex + Int($0.ids) == held }
    }

    /// The pieces as they came.
    package var pieces: [TokenEvent.TokenPiece] {
        var start = End()
        return ends.map { end in
            defer { start = end }
            return piece(from: start, to: end)
        }
    }

    /// What a reader who holds this many tokens still misses, in few pieces; a piece of which it holds
    /// a part is among them.
    package func pieces(after held: Int) -> [TokenEvent.TokenPiece] {
        var pieces: [TokenEvent.TokenPiece] = []
        var start = End()
        for end in ends {
            if firstIndex + Int(end.ids) > held {
                let piece = piece(from: start, to: end)
                if pieces.isEmpty || !pieces[pieces.count - 1].absorb(piece) {
                    pieces.append(piece)
                }
            }
            start = end
        }
        return pieces
    }

    private func piece(from start: End, to end: End) -> TokenEvent.TokenPiece {
        let range = Int(start.ids)..<Int(end.ids)
        return TokenEvent.TokenPiece(
            text: String(decoding: text[Int(start.bytes)..<Int(end.bytes)], as: UTF8.self),
            ids: Array(ids[range]), index: firstIndex + range.lowerBound,
            logProbabilities: range.upperBound <= logProbabilities.count
                ? Array(logProbabilities[range]) : [])
    }
}

extension TokenEvent.TokenPiece {
    /// Escaping makes a text at most six times as long, which is still far below the longest event.
    private static let mergedBytes = 64 << 10

    /// Takes over a piece that follows at once, unless both together are too long.
    mutating func absorb(_ next: TokenEvent.TokenPiece) -> Bool {
        guard next.index == index + ids.count,
            logProbabilities.isEmpty == next.logProbabilities.isEmpty,
            mergeBytes + next.mergeBytes <= Self.mergedBytes
        else { return false }
        text += next.text
        ids += next.ids
        logProbabilities += next.logProbabilities
        return true
    }

    /// Roughly what the piece has as JSON.
    private var mergeBytes: Int {
        text.utf8.count + 11 * ids.count + logProbabilities.reduce(0) { $0 + $1.jsonBytes }
    }
}
