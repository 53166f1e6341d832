// How a response begins, when it speaks of itself, and when a client is given up. Time is given.
// SPDX-License-Identifier: Apache-2.0

import LlorchHTTP
import LlorchProtocol
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1))) struct ResponseStreamTests {
    private final class Clock: Sendable {
        private let time = Mutex<Int64>(1_000)
        var now: Int64 { time.withLock { $0 } }
        func advance(_ milliseconds: Int64) { time.withLock { $0 += milliseconds } }
    }

    private let clock = Clock()

    private func makeStream(_ id: String = "a") -> ResponseStream {
        let clock = clock
        return ResponseStream(
            jobID: id, seed: 1, clock: { clock.now }, timeOfDay: { "2026-01-01T00:00:00Z" })
    }

    private let started = TokenEvent.started(
        .init(model: "m", startedAt: "t", seed: 1, promptTokens: 1, queuedMilliseconds: 0))
    private let end = TokenEvent.end(
        .init(
            tokensOut: 0, decodeTimeMilliseconds: 0, stopReason: .endOfText, promptTokens: 1,
            prefillMilliseconds: 0))
    private let failure = JobFailure(.contextOverflow, "too long")

    private func expectDropped(_ jobIDs: [String], from router: inout EventRouter) {
        let dropped = router.tick()
        #expect(dropped == jobIDs)
    }

    private func text(_ bytes: [UInt8]?) -> String? {
        bytes.map { String(decoding: $0, as: UTF8.self) }
    }

    /// By a comment, and not a millisecond before.
    private func expectOpening(of stream: ResponseStream, after milliseconds: Int64) async throws {
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
        var router = EventRouter()
        let slow = makeStream("slow")
        let quick = makeStream("quick")
        router.add(slow, for: "slow")
        router.add(quick, for: "quick")
        for id in ["slow", "quick"] { router.deliver(started, to: id) }
        _ = try await slow.next()  // Its write does not come back.
        clock.advance(29_999)
        _ = try await quick.next()
        expectDropped([], from: &router)
        clock.advance(1)
        expectDropped(["slow"], from: &router)
        await #expect(throws: ResponseStream.Dropped.self) { try await slow.next() }
        #expect(router.jobIDs == ["quick"])
    }

    /// The job has ended, its last bytes are not taken: still an open connection.
    @Test func readerThatNeverTakesTheEndIsDropped() async throws {
        let closed = Mutex(0)
        let closes = { @Sendable in closed.withLock { $0 += 1 } }
        let clock = clock
        let stream = ResponseStream(
            jobID: "a", seed: 1, clock: { clock.now }, timeOfDay: { "" }, close: closes)
        var router = EventRouter()
        router.add(stream, for: "a")
        router.deliver(started, to: "a")
        router.deliver(end, to: "a")
        #expect(!router.isEmpty)
        clock.advance(30_000)
        expectDropped([], from: &router)
        _ = router.tick()
        #expect(router.isEmpty)
        #expect(closed.withLock { $0 } == 1)
    }

    @Test func memoryOfAClientIsBounded() async throws {
        var router = EventRouter()
        let piece = String(repeating: "x", count: 1 << 10)
        for (id, count) in [("much", 270), ("less", 200)] {
            router.add(makeStream(id), for: id)
            router.deliver(started, to: id)
            for index in 0..<count {
                router.deliver(.token(.init(text: piece, ids: [1], index: index)), to: id)
            }
        }
        // A burst is no offence; leaving it there is.
        expectDropped([], from: &router)
        clock.advance(999)
        expectDropped([], from: &router)
        clock.advance(1)
        expectDropped(["much"], from: &router)
        clock.advance(28_000)
        expectDropped([], from: &router)
        #expect(router.jobIDs == ["less"])
    }

    @Test func memoryOfAllClientsIsBounded() async throws {
        var router = EventRouter(maximumBytes: 1_000)
        let piece = String(repeating: "x", count: 300)
        for id in ["a", "b", "c", "d"] {
            router.add(makeStream(id), for: id)
            router.deliver(started, to: id)
            router.deliver(.token(.init(text: piece, ids: [1], index: 0)), to: id)
        }
        let dropped = router.tick()
        #expect(dropped.count == 2, "about 490 bytes each, 1,000 allowed")
    }

    @Test func eventsOfOthersAreCounted() {
        var router = EventRouter()
        let stream = makeStream()
        router.add(stream, for: "a")
        router.deliver(end, to: "a")
        router.deliver(end, to: "a")
        router.deliver(end, to: "b")
        #expect(router.unclaimed == 2)
        let isRemoved = router.remove(stream, for: "a")
        #expect(!isRemoved)
    }
}
