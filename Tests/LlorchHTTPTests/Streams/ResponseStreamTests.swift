// How a response begins, when it speaks of itself, and when a client is given up. Time is given.
// SPDX-License-Identifier: Apache-2.0

import LlorchHTTP
import LlorchProtocol
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct ResponseStreamTests {
    private final class Clock: Sendable {
        private let time = Mutex(Duration.seconds(1))
        var now: Duration { time.withLock { $0 } }
        func advance(_ milliseconds: Int) { time.withLock { $0 += .milliseconds(milliseconds) } }
    }

    private let clock = Clock()

    private func makeStream(_ id: String = "a") -> ResponseStream {
        let clock = clock
        return ResponseStream(framer: framer(id), clock: { clock.now })
    }

    private func framer(_ id: String) -> EventFramer {
        EventFramer(jobID: id, seed: 1, timeOfDay: { "2026-01-01T00:00:00Z" })
    }

    private let started = TokenEvent.started(
        .init(model: "m", startedAt: "t", seed: 1, promptTokens: 1, queuedMilliseconds: 0))
    private let end = TokenEvent.end(
        .init(
            tokensOut: 0, decodeTimeMilliseconds: 0, stopReason: .endOfText, promptTokens: 1,
            prefillMilliseconds: 0))
    private let failure = JobFailure(.contextOverflow, "too long")

    private func expectDropped(
        _ dropped: [ResponseStream], of streams: [ResponseStream],
        from responses: inout OpenResponses
    ) {
        let gone = responses.tick(reading: streams.map(\.id))
        #expect(gone == dropped.map(\.id))
    }

    private func text(_ bytes: [UInt8]?) -> String? {
        bytes.map { String(decoding: $0, as: UTF8.self) }
    }

    /// By a comment, and not a millisecond before.
    private func expectOpening(of stream: ResponseStream, after milliseconds: Int) async throws {
        clock.advance(milliseconds - 1)
        stream.pingIfDue()
        #expect(stream.pendingBytes == 0)
        clock.advance(1)
        stream.pingIfDue()
        #expect(try await stream.opening() == .open)
        #expect(text(try await stream.next()) == ": ping\n\n")
    }

    @Test func failureFirstIsAStatus() async throws {
        let stream = makeStream()
        stream.deliver(.error(failure))
        #expect(try await stream.opening() == .refused(failure))
        stream.deliver(started)
        #expect(try await stream.next() == nil)
    }

    @Test func failureAfterPatienceIsAnEvent() async throws {
        let stream = makeStream()
        try await expectOpening(of: stream, after: 250)
        stream.deliver(.error(failure))
        var parser = EventStreamParser()
        let events = try parser.take(try await stream.next() ?? [])
        #expect(events.map(\.name) == ["started", "error"])
        #expect(try await stream.next() == nil)
    }

    @Test func aJobThatNoWorkerHasOpensItsStreamSooner() async throws {
        let stream = makeStream()
        stream.openSoon()
        try await expectOpening(of: stream, after: 50)
        // From there on as any other.
        clock.advance(4_999)
        stream.openSoon()
        stream.pingIfDue()
        #expect(stream.pendingBytes == 0)
    }

    @Test func cancelBeforeTheFirstEventIsAStream() async throws {
        let stream = makeStream()
        stream.deliver(.error(JobFailure(.cancelled, "cancelled by the client")))
        #expect(try await stream.opening() == .open)
        var parser = EventStreamParser()
        let events = try parser.take(try await stream.next() ?? [])
        #expect(events.map(\.name) == ["started", "error"])
    }

    @Test func silenceIsFilledEveryFiveSeconds() async throws {
        let stream = makeStream()
        stream.deliver(started)
        _ = try await stream.next()
        clock.advance(4_999)
        stream.pingIfDue()
        #expect(stream.pendingBytes == 0)
        clock.advance(1)
        stream.pingIfDue()
        stream.pingIfDue()
        #expect(text(try await stream.next()) == ": ping\n\n")
        clock.advance(5_000)
        stream.pingIfDue()
        stream.pingIfDue()
        #expect(text(try await stream.next()) == ": ping\n\n")
    }

    @Test func nothingFollowsTheEnd() async throws {
        let stream = makeStream()
        stream.deliver(started)
        stream.deliver(end)
        stream.deliver(.error(failure))
        clock.advance(60_000)
        stream.pingIfDue()
        var parser = EventStreamParser()
        let events = try parser.take(try await stream.next() ?? [])
        #expect(events.map(\.name) == ["started", "end"])
        #expect(try await stream.next() == nil)
    }

    @Test func waitingEndsWithTheTask() async throws {
        let stream = makeStream()
        let task = Task { try await stream.opening() }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }

    @Test func readerThatTakesNothingIsDropped() async throws {
        var responses = OpenResponses()
        let slow = makeStream("slow")
        let quick = makeStream("quick")
        for stream in [slow, quick] {
            responses.add(stream)
            responses.deliver(started, to: stream.id)
        }
        _ = try await slow.next()  // Its write does not come back.
        clock.advance(29_999)
        _ = try await quick.next()
        expectDropped([], of: [slow, quick], from: &responses)
        clock.advance(1)
        expectDropped([slow], of: [slow, quick], from: &responses)
        await #expect(throws: ResponseStream.Dropped.self) { try await slow.next() }
        #expect(!quick.isDropped)
    }

    /// The job has ended, its last bytes are not taken: still an open connection.
    @Test func readerThatNeverTakesTheEndIsDropped() async throws {
        let closed = Mutex(0)
        let closes = { @Sendable in closed.withLock { $0 += 1 } }
        let clock = clock
        let stream = ResponseStream(framer: framer("a"), clock: { clock.now }, close: closes)
        var responses = OpenResponses()
        responses.add(stream)
        responses.deliver(started, to: stream.id)
        responses.deliver(end, to: stream.id)
        #expect(!responses.isEmpty)
        clock.advance(30_000)
        expectDropped([], of: [], from: &responses)
        _ = responses.tick(reading: [])
        #expect(responses.isEmpty)
        #expect(closed.withLock { $0 } == 1)
    }

    @Test func memoryOfAClientIsBounded() async throws {
        var responses = OpenResponses()
        let piece = String(repeating: "x", count: 1 << 10)
        let streams = [("much", 270), ("less", 200)].map { id, count in
            let stream = makeStream(id)
            responses.add(stream)
            responses.deliver(started, to: stream.id)
            for index in 0..<count {
                responses.deliver(
                    .token(.init(text: piece, ids: [1], index: index)), to: stream.id)
            }
            return stream
        }
        // A burst is no offence; leaving it there is.
        expectDropped([], of: streams, from: &responses)
        clock.advance(999)
        expectDropped([], of: streams, from: &responses)
        clock.advance(1)
        expectDropped([streams[0]], of: streams, from: &responses)
        clock.advance(28_000)
        expectDropped([], of: streams, from: &responses)
        #expect(!streams[1].isDropped)
    }

    @Test func memoryOfAllClientsIsBounded() async throws {
        var responses = OpenResponses(maximumBytes: 1_000)
        let piece = String(repeating: "x", count: 300)
        let streams = ["a", "b", "c", "d"].map(makeStream)
        for stream in streams {
            responses.add(stream)
            responses.deliver(started, to: stream.id)
            responses.deliver(.token(.init(text: piece, ids: [1], index: 0)), to: stream.id)
        }
        let dropped = responses.tick(reading: streams.map(\.id))
        #expect(dropped.count == 2, "about 490 bytes each, 1,000 allowed")
    }

    /// One who waits for the answer to a cancel is not told that the job waits.
    @Test func onlyReadersAreSentComments() async throws {
        var responses = OpenResponses()
        let stream = makeStream()
        responses.add(stream)
        clock.advance(60_000)
        expectDropped([], of: [], from: &responses)
        #expect(stream.pendingBytes == 0)
        expectDropped([], of: [stream], from: &responses)
        #expect(text(try await stream.next()) == ": ping\n\n")
    }

    @Test func whatIsGoneIsForgotten() async throws {
        var responses = OpenResponses()
        let streams = ["a", "b", "c"].map(makeStream)
        for stream in streams { responses.add(stream) }
        responses.remove(streams[0].id)
        responses.drop(streams[1].id)
        #expect(!streams[0].isDropped && streams[1].isDropped)
        responses.deliver(.error(failure), to: streams[2].id)
        #expect(!responses.isEmpty)
        _ = responses.tick(reading: [])
        #expect(responses.isEmpty, "a refusal leaves nothing to take")
        responses.deliver(started, to: streams[2].id)
        #expect(responses.isEmpty)
    }
}
