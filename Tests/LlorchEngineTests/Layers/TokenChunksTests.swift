// How tokens are cut into passes: in order, without gaps, none too long, and none much shorter than the others.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import Testing

@Suite struct TokenChunksTests {
    @Test func chunksAreTheRangeInOrder() {
        for count in 0...200 {
            for length in [1, 2, 5, 12, 13, 24, 132] {
                let chunks = Array(TokenChunks(7..<7 + count, length: length))
                #expect(chunks.flatMap { Array($0) } == Array(7..<7 + count))
                #expect(chunks.allSatisfy { (1...length) ~= $0.count })
                #expect(chunks.count == (count + length - 1) / length)
            }
        }
    }

    /// 140 tokens in chunks of 132 are two of about the same length, of whole register tiles of 12 rows.
    @Test func noChunkIsMuchShorterThanTheOthers() {
        #expect(Array(TokenChunks(0..<140, length: 132)) == [0..<72, 72..<140])
        #expect(Array(TokenChunks(0..<132, length: 132)) == [0..<132])
    }
}
