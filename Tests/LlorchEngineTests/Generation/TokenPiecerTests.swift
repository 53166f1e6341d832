// Pieces of an answer: every id once, no split character, no stop text, and resumable anywhere.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchProtocol
import Testing

@Suite struct TokenPiecerTests {
    /// Everything a run gives out: its pieces and the sequence that stopped it.
    private struct Run: Equatable {
        var pieces: [TokenEvent.TokenPiece] = []
        var matchedStop: String?
        var text: String { pieces.map(\.text).joined() }
        var ids: [TokenID] { pieces.flatMap(\.ids) }
    }

    private func run(
        _ ids: [TokenID], stops: [String], resumedAfter count: Int = 0, _ tokenizer: Tokenizer
    ) throws -> Run {
        var piecer = TokenPiecer(tokenizer: tokenizer, stopSequences: stops)
        try piecer.resume(after: ids.prefix(count))
        var run = Run()
        for id in ids.dropFirst(count) where piecer.matchedStop == nil {
            if let piece = try piecer.append(id) { run.pieces.append(piece) }
        }
        if let last = piecer.finish() { run.pieces.append(last) }
        run.matchedStop = piecer.matchedStop
        return run
    }

    @Test(arguments: UInt64(0)..<300)
    func lawsOfThePieces(seed: UInt64) throws {
        let tokenizer = try GPT2Fixture.tokenizer()
        var random = TextTests.Random(seed)
        let ids = randomIDs(tokenizer, &random)
        var whole: [UInt8] = []
        var stream = StreamingDetokenizer(tokenizer)
        for id in ids { try stream.append(id, to: &whole) }
        let stops = randomStops(in: whole, &random)
        let run = try run(ids, stops: stops, tokenizer)

        // The text is all of it, or what comes before the first match.
        let match = firstMatch(of: stops, in: whole)
        #expect(Array(run.text.utf8) == Array(whole[..<(match?.start ?? whole.count)]), "\(stops)")
        #expect(run.matchedStop == match.map { stops[$0.stop] })
        // Every id is in one piece, in order; without a match none is missing.
        #expect(Array(ids.prefix(run.ids.count)) == run.ids)
        #expect(match != nil || run.ids == ids)
        // Indices count ids; only the last piece may have no text; none is without ids.
        var index = 0
        for (place, piece) in run.pieces.enumerated() {
            #expect(piece.index == index)
            #expect(!piece.ids.isEmpty)
            #expect(!piece.text.isEmpty || place == run.pieces.count - 1)
            index += piece.ids.count
        }
        // A dispatcher that holds any number of pieces goes on without a difference.
        for held in 0...run.pieces.count {
            let count = run.pieces[..<held].reduce(0) { $0 + $1.ids.count }
            let rest = try self.run(
                Array(ids), stops: stops, resumedAfter: count, tokenizer)
            #expect(rest.pieces == Array(run.pieces[held...]), "after \(count) of \(ids)")
            #expect(rest.matchedStop == run.matchedStop)
        }
    }

    /// Tokens of text, of single bytes and of any kind, so that characters break and bytes are lost.
    private func randomIDs(
        _ tokenizer: Tokenizer, _ random: inout TextTests.Random
    ) -> [TokenID] {
        (0..<8).flatMap { _ in
            switch UInt8.random(in: 0..<4, using: &random) {
            case 0: [TokenID.random(in: 0..<50_256, using: &random)]
            case 1: [TokenID.random(in: 0..<256, using: &random)]
            default: tokenizer.tokenize(random.text(fragments: 2))
            }
        }
    }

    /// Stretches of the text itself, some with a wrong end so that they are held back in vain.
    private func randomStops(in text: [UInt8], _ random: inout TextTests.Random) -> [String] {
        let characters = Array(String(decoding: text, as: UTF8.self).unicodeScalars)
        return (0..<Int.random(in: 0...4, using: &random)).compactMap { _ in
            guard let start = characters.indices.randomElement(using: &random) else { return nil }
            let length = Int.random(in: 1...8, using: &random)
            var stop = String.UnicodeScalarView()
            stop.append(contentsOf: characters[start...].prefix(length))
            return String(stop) + (UInt8.random(in: 0..<3, using: &random) > 0 ? "\u{1}\u{2}" : "")
        }
    }

    private func firstMatch(of stops: [String], in text: [UInt8]) -> (start: Int, stop: Int)? {
        for end in 1..<text.count + 1 {
            let ending = stops.indices.filter { stop in
                text[..<end].reversed().starts(with: stops[stop].utf8.reversed())
            }
            let longest = ending.map { stops[$0].utf8.count }.max()
            if let first = ending.first(where: { stops[$0].utf8.count == longest }) {
                return (end - stops[first].utf8.count, first)
            }
        }
        return nil
    }

    @Test func aTokenGoesOutWithAllOfItsTextOrNotAtAll() throws {
        let tokenizer = try GPT2Fixture.tokenizer()
        var piecer = TokenPiecer(tokenizer: tokenizer, stopSequences: ["llo!"])
        let ids = tokenizer.tokenize("Hello world")
        #expect(ids.count == 2)
        #expect(try piecer.append(ids[0]) == nil)
        #expect(
            try piecer.append(ids[1])
                == TokenEvent.TokenPiece(text: "Hello world", ids: ids, index: 0))
        #expect(piecer.finish() == nil)
        #expect(piecer.index == 2)
    }

    /// The case a piece without ids would lose: the dispatcher would take it for a repeat.
    @Test func heldTextStillHasItsIdAtTheEnd() throws {
        let tokenizer = try GPT2Fixture.tokenizer()
        var piecer = TokenPiecer(tokenizer: tokenizer, stopSequences: ["world peace"])
        let ids = tokenizer.tokenize("Hello world")
        #expect(try piecer.append(ids[0])?.text == "Hello")
        #expect(try piecer.append(ids[1]) == nil)
        let last = TokenEvent.TokenPiece(text: " world", ids: [ids[1]], index: 1)
        #expect(piecer.finish() == last)
    }

    @Test func aStopAtTheVeryBeginningLeavesIdsWithoutText() throws {
        let tokenizer = try GPT2Fixture.tokenizer()
        let ids = tokenizer.tokenize("Hello world")
        let run = try run(ids, stops: ["Hell"], tokenizer)
        #expect(run.pieces == [TokenEvent.TokenPiece(text: "", ids: [ids[0]], index: 0)])
        #expect(run.matchedStop == "Hell")
        #expect(try self.run([ids[0]], stops: ["Hell"], resumedAfter: 1, tokenizer).pieces.isEmpty)
    }

    /// Of a text that could be a stop for ever, all but the last of it goes out.
    @Test func holdsNoMoreThanTheLongestStop() throws {
        let tokenizer = try GPT2Fixture.tokenizer()
        let stop = String(repeating: "a", count: 99) + "b"
        var piecer = TokenPiecer(tokenizer: tokenizer, stopSequences: [stop])
        let letter = try #require(tokenizer.tokenize("a").first)
        var given = 0
        for count in 1...1000 {
            given += try piecer.append(letter)?.text.utf8.count ?? 0
            #expect(count - given <= 99)
        }
    }

    @Test func refusesIdsThatAreNoTokens() throws {
        let tokenizer = try GPT2Fixture.tokenizer()
        var piecer = TokenPiecer(tokenizer: tokenizer, stopSequences: ["a"])
        #expect(throws: TokenizerError.self) { try piecer.append(50_257) }
        var other = TokenPiecer(tokenizer: tokenizer, stopSequences: ["a"])
        #expect(throws: TokenizerError.self) {
            try other.resume(after: tokenizer.tokenize("a") + [.max])
        }
    }
}
