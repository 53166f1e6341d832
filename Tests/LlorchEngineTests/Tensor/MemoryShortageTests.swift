// Blocks that no machine can give are errors that tell how much is needed and how much is left.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import Testing

@Suite struct MemoryShortageTests {
    /// More than any process can address.
    private static let impossible = 1 << 56

    @Test func anArenaBeyondTheMemoryIsAnError() throws {
        let error = try #require(throws: MemoryShortage.self) {
            _ = try PageArena(sizes: [Self.impossible, 64])
        }
        #expect(error.needed >= Self.impossible)
        #expect((1 << 20..<Self.impossible).contains(error.left))
        #expect("\(error)".contains("a block of \(error.needed) bytes is needed"))
        // A block that is there is given all the same.
        _ = try PageArena(sizes: [4 << 20])
    }

    @Test func aCacheBeyondTheMemoryIsAnError() {
        #expect(throws: MemoryShortage.self) {
            _ = try KVCache(layerCount: 1, headCount: 1, headSize: 64, contextLength: 1 << 47)
        }
    }

    @Test func theLibraryTellsItByACode() {
        let error = LanguageModelError(loading: MemoryShortage(needed: 7, left: 5))
        #expect(error.code == .outOfMemory && error.message.contains("a block of 7 bytes"))
    }
}
