// The text of frames and the numbering of pieces, without any I/O.
// SPDX-License-Identifier: Apache-2.0

import LlorchHTTP
import LlorchJSON
import LlorchProtocol
import Testing

@Suite struct ServerSentEventTests {
    private func token(_ text: String, _ ids: [UInt32], at index: Int) -> TokenEvent {
        .token(.init(text: text, ids: ids, index: index))
    }

    private let started = TokenEvent.started(
        .init(
            model: "m", startedAt: "2026-01-01T00:00:00Z", seed: .max, promptTokens: 3,
            queuedMilliseconds: 2))

    private let end = TokenEvent.end(
        .init(
            tokensOut: 3, decodeTimeMilliseconds: 5, stopReason: .stopSequence,
            stopSequenceMatched: "\n\n", promptTokens: 3, prefillMilliseconds: 4))

    private func text(_ events: [TokenEvent], waited: Int = 0) -> String {
        var framer = EventFramer(jobID: "a\"1", seed: 7, timeOfDay: { "2026-02-03T04:05:06Z" })
        let frames = events.flatMap { framer.frames(for: $0, waited: .milliseconds(waited)) }
        return String(decoding: frames.flatMap { $0.serialized() }, as: UTF8.self)
    }

    @Test func framesHaveTheirTypeTwice() {
        #expect(
            text([started, token("a\n", [1], at: 0), end]) == """
                event: started
                id: 0
                data: {"type":"started","job_id":"a\\"1","model":"m",\
                "started_at":"2026-01-01T00:00:00Z","seed":18446744073709551615,\
                "prompt_tokens":3,"queued_ms":2}

                event: token
                id: 1
                data: {"type":"token","t":"a\\n","ids":[1],"i":0}

                event: end
                id: 1
                data: {"type":"end","tokens_out":3,"decode_time_ms":5,\
                "stop_reason":"STOP_SEQUENCE","stop_sequence_matched":"\\n\\n",\
                "prompt_tokens":3,"prefill_ms":4,"cached_tokens":0}


                """)
    }

    /// The queue counts token ids, HTTP counts pieces: a piece of two ids and one without text.
    @Test func piecesAreCountedWithoutHoles() throws {
        var parser = EventStreamParser()
        let bytes = text([
            started, token("a", [1, 2], at: 0), token("", [3], at: 2), token("é", [4], at: 3),
        ])
        let events = try parser.take(Array(bytes.utf8))
        #expect(events.map(\.name) == ["started", "token", "token"])
        #expect(events.compactMap { $0.count("i") } == [0, 1])
        #expect(events.map(\.id) == [0, 2, 4])
    }

    /// Otherwise the numbers of its tokens would be lost.
    @Test func aPieceWithoutTextIsSentForItsLogProbabilities() throws {
        var parser = EventStreamParser()
        let piece = TokenEvent.token(
            .init(
                text: "", ids: [3], index: 0,
                logProbabilities: [.init(id: 3, bytes: [0xe2], logProbability: -0.5, top: [])]))
        let events = try parser.take(Array(text([started, piece]).utf8))
        #expect(events.map(\.name) == ["started", "token"])
        #expect(events.last?.json["logprobs"]?.asArray?.count == 1)
    }

    @Test func failureBeforeStartedGetsOne() throws {
        var parser = EventStreamParser()
        let failure = TokenEvent.error(JobFailure(.cancelled, "cancelled by the client"))
        let events = try parser.take(Array(text([failure], waited: 40).utf8))
        try #require(events.map(\.name) == ["started", "error"])
        #expect(events[0].json["job_id"]?.asString == "a\"1")
        #expect(events[0].json["started_at"]?.asString == "2026-02-03T04:05:06Z")
        #expect(events[0].count("seed") == 7)
        #expect(events[0].count("queued_ms") == 40)
        #expect(events[1].json["code"]?.asString == "CANCELLED")
        #expect(events[1].json["retriable"]?.asBool == false)
    }

    @Test func metricsNameTheirJob() throws {
        var parser = EventStreamParser()
        let metrics = TokenEvent.metrics(
            .init(tokensOut: 1, decodeTimeMilliseconds: 2, tokensPerSecond: 3.5))
        let events = try parser.take(Array(text([started, metrics]).utf8))
        #expect(events.last?.json["job_id"]?.asString == "a\"1")
        #expect(events.last?.count("vram_bytes") == 0)
    }

    /// Any text survives any split of the bytes; the separators of SSE lines are among it.
    @Test(arguments: UInt64(1)...20) func anyTextComesBack(seed: UInt64) throws {
        var state = seed
        func random(_ count: UInt64) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % count)
        }
        let scalars: [Character] = [
            "a", "\n", "\r", "\r\n", "\u{2028}", "\u{85}", ":", " ", "\"", "\\", "\u{0}", "é", "🜚",
            "data: x",
        ].flatMap { Array($0) }
        let texts = (0..<20).map { _ in
            String((0...random(8)).map { _ in scalars[random(UInt64(scalars.count))] })
        }
        let all: [TokenEvent] =
            [started] + texts.enumerated().map { token($1, [UInt32($0)], at: $0) } + [end]
        let bytes = Array(text(all).utf8)
        var parser = EventStreamParser()
        var events: [ParsedEvent] = []
        var start = 0
        while start < bytes.count {
            let stop = min(bytes.count, start + 1 + random(40))
            events += try parser.take(Array(bytes[start..<stop]))
            if random(5) == 0, parser.isBetweenEvents {
                _ = try parser.take(ServerSentEvent.ping)
            }
            start = stop
        }
        #expect(events.compactMap(\.text) == texts, "seed \(seed)")
        #expect(events.last?.name == "end")
    }

    /// The checks of the other tests notice what they are for.
    @Test func faultsAreSeen() throws {
        var parser = EventStreamParser()
        let events = try parser.take(
            Array(text([started, token("a", [1], at: 0), token("b", [2], at: 1)]).utf8))
        #expect(grammarFault(events) == "no terminal event")
        #expect(grammarFault(Array(events.dropFirst())) == "does not begin with started")
        var twice = events + events.suffix(1)
        #expect(grammarFault(twice + twice.suffix(1)) != nil)
        twice.removeAll { $0.name == "token" && $0.id == 1 }
        #expect(grammarFault(twice) == "no terminal event")
        #expect(throws: EventStreamParser.Malformed.self) {
            var parser = EventStreamParser()
            return try parser.take(Array("event: token\ndata: {\"type\":\"end\"}\n\n".utf8))
        }
    }
}
