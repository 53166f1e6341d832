// How a run of tokens is cut into chunks, each of which one forward pass takes. The cut never changes a result.
// The passes themselves: Model/GPT2.swift.
// SPDX-License-Identifier: Apache-2.0

/// The chunks of a range of tokens, in order; together they are the range.
///
/// Chunks are as equal as register tiles allow, since a short last chunk would read all weights for a few rows.
package struct TokenChunks: Sequence, IteratorProtocol, Sendable {
    /// Tokens of a chunk at most.
    private let length: Int
    /// The tokens that are in no chunk yet.
    private var rest: Range<Int>

    /// - Precondition: `length` is at least 1.
    package init(_ tokens: Range<Int>, length: Int) {
        precondition(length > 0, "chunks of \(length) tokens")
        self.length = length
        rest = tokens
    }

    package mutating func next() -> Range<Int>? {
        guard !rest.isEmpty else { return nil }
        let chunkCount = (rest.count + length - 1) / length
        let even = (rest.count + chunkCount - 1) / chunkCount
        let count = Swift.min(even.roundedUp(toMultipleOf: Attention.tileRows), length, rest.count)
        let chunk = rest.lowerBound..<rest.lowerBound + count
        rest = chunk.upperBound..<rest.upperBound
        return chunk
    }
}
