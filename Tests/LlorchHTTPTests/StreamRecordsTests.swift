// What is kept for clients that come back, and how their streams go on. Over real connections:
// test_08_http.py of the end-to-end tests.
// SPDX-License-Identifier: Apache-2.0

import LlorchHTTP
import LlorchProtocol
import Testing

@Suite struct StreamRecordsTests {
    private static let job = GenerationJob(
        id: "a", prompt: "Hello", seed: 7, leaseMilliseconds: 15_000, correlationID: "c1")

    private static let events: [TokenEvent] = [
        .started(
            .init(model: "m", startedAt: "", seed: 7, promptTokens: 1, queuedMilliseconds: 0)),
        .token(.init(text: "Hel", ids: [1], index: 0)),
        .token(.init(text: "lo", ids: [2, 3], index: 1)),
        .token(.init(text: "!", ids: [4], index: 3)),
        .end(
            .init(
                tokensOut: 4, decodeTimeMilliseconds: 0, stopReason: .maximumTokens,
                promptTokens: 1, prefillMilliseconds: 0)),
    ]

    private func recorded(_ count: Int = events.count) -> StreamRecords {
        var records = StreamRecords()
        records.begin(Self.job)
        for event in Self.events.prefix(count) { records.append(event, to: "a", now: 0) }
        return records
    }

    @Test func aStreamCutAfterAnyFrameGoesOn() {
        func frames(lastEventID: Int?) -> [ServerSentEvent] {
            var framer = EventFramer(jobID: "a", seed: 7, lastEventID: lastEventID)
            return Self.events.flatMap { framer.frames(for: $0, waited: 0, today: { "" }) }
        }
        let whole = frames(lastEventID: nil)
        #expect(whole.map(\.id) == [0, 1, 3, 4, 4])
        for (place, frame) in whole.dropLast().enumerated() {
            #expect(frames(lastEventID: frame.id) == Array(whole[(place + 1)...]))
        }
    }

    @Test func framesAreTheEndsOfPieces() throws {
        let record = try #require(recorded()["a"])
        #expect((-1...5).filter { record.hasFrame(id: $0) } == [0, 1, 3, 4])
        #expect(record.ids == [1, 2, 3, 4])
        #expect(record.events == Self.events)
    }

    @Test func theSameRequestIsKnownAgain() throws {
        let record = try #require(recorded()["a"])
        var request = GenerationJob(id: "a", prompt: "Hello", correlationID: "c2")
        #expect(record.fits(request))
        request.seed = 7
        #expect(record.fits(request))
        request.seed = 8
        #expect(!record.fits(request))
        request.seed = 7
        request.maximumTokens = 3
        #expect(!record.fits(request))
    }

    @Test func recordsAreKeptForAMinuteAfterTheClientLeft() {
        var records = recorded(3)
        records.expire(now: 1_000_000)
        #expect(records["a"] != nil, "its client reads")
        records.setLeft("a", at: 1_000_000)
        records.expire(now: 1_060_000)
        #expect(records["a"] != nil)
        records.expire(now: 1_061_001)
        #expect(records["a"] == nil)
    }

    @Test func aSecondStartIsNotKeptAndARefusalNotAtAll() {
        var records = recorded(3)
        records.append(Self.events[0], to: "a", now: 1)
        #expect(records["a"]?.events == Array(Self.events.prefix(3)))
        records.begin(GenerationJob(id: "b", prompt: "x"))
        records.append(.error(JobFailure(.queueFull, "full")), to: "b", now: 1)
        #expect(records["b"] == nil)
    }

    @Test func theLongestLeftGoWhereThereAreTooMany() {
        var limits = StreamRecords.Limits()
        limits.count = 10
        var records = StreamRecords(limits: limits)
        for number in 0..<30 {
            records.begin(GenerationJob(id: "j\(number)", prompt: "x"))
            if number < 25 { records.setLeft("j\(number)", at: Int64(number)) }
        }
        records.expire(now: 30)
        #expect(records.count == 10)
        #expect((20..<30).allSatisfy { records["j\($0)"] != nil })
        limits.bytes = 10_000
        records = StreamRecords(limits: limits)
        let long = String(repeating: "x", count: 4_000)
        for number in 0..<5 {
            records.begin(GenerationJob(id: "j\(number)", prompt: long))
            records.setLeft("j\(number)", at: Int64(number))
        }
        records.expire(now: 30)
        #expect(records.count == 2)
        #expect(records["j4"] != nil)
    }
}
