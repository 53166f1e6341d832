// What is kept for clients that come back, and how their streams go on. Over real connections:
// test_http.py of the end-to-end tests. In any order of things: StreamTablePropertyTests.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchHTTP
import LlorchProtocol
import Testing

@Suite struct StreamTableTests {
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
    private static let cancelled = TokenEvent.error(JobFailure(.cancelled, "x"))
    private static let one = ReaderID(1_000_001)
    private static let two = ReaderID(1_000_002)
    private static let three = ReaderID(1_000_003)

    /// A table whose reader `one` has the first events of the job.
    private func table(
        _ count: Int = events.count, limits: StreamTable.Limits = StreamTable.Limits()
    ) -> StreamTable {
        var table = StreamTable(limits: limits, now: .zero)
        take(Self.job, for: Self.one, into: &table)
        for event in Self.events.prefix(count) {
            let actions = table.receive(event, of: "a", now: .zero)
            #expect(actions == [.deliver(event, to: Self.one)])
        }
        return table
    }

    private func take(_ job: GenerationJob, for reader: ReaderID, into table: inout StreamTable) {
        let actions = table.open(job, for: reader)
        #expect(actions == [.submit(job)])
        let more = table.submitted(isWaiting: false)
        #expect(more == [])
    }

    private func record(_ count: Int = events.count) -> StreamRecord {
        var record = StreamRecord(Self.job)
        for event in Self.events.prefix(count) {
            let follows = record.append(event)
            #expect(follows)
        }
        return record
    }

    private func code(_ actions: [StreamTable.Action]) -> JobFailure.Code? {
        if case .deliver(.error(let failure), _) = actions.first, actions.count == 1 {
            return failure.code
        }
        return nil
    }

    // MARK: - Records

    @Test func aStreamCutAfterAnyFrameGoesOn() {
        func frames(lastEventID: Int?) -> [ServerSentEvent] {
            var framer = EventFramer(
                jobID: "a", seed: 7, lastEventID: lastEventID, timeOfDay: { "" })
            return Self.events.flatMap { framer.frames(for: $0, waited: .zero) }
        }
        let whole = frames(lastEventID: nil)
        #expect(whole.map(\.id) == [0, 1, 3, 4, 4])
        for (place, frame) in whole.dropLast().enumerated() {
            #expect(frames(lastEventID: frame.id) == Array(whole[(place + 1)...]))
        }
    }

    @Test func framesAreTheEndsOfPieces() {
        let record = record()
        #expect((-1...5).filter { record.hasFrame(endingAt: $0) } == [0, 1, 3, 4])
        #expect(record.ids == [1, 2, 3, 4])
        #expect(record.events == Self.events)
    }

    @Test func theSameRequestIsKnownAgain() {
        let record = record()
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

    @Test func aPieceThatDoesNotFollowIsNotTaken() {
        var record = record(2)
        let follows = record.append(Self.events[3])
        #expect(!follows)
        #expect(record.ids == [1])
    }

    /// A worker that caught up sends pieces of 64 KiB: they cost what they are long.
    @Test func aRecordCostsWhatItHolds() {
        let text = String(repeating: "é", count: 32 << 10)
        var record = record(1)
        let empty = record.bytes
        for index in 0..<8 {
            let follows = record.append(.token(.init(text: text, ids: [7], index: index)))
            #expect(follows)
            #expect(record.bytes >= empty + (index + 1) * (64 << 10))
        }
        // Arrays grow ahead of what they hold; that is counted too, and given back at the end.
        #expect(record.bytes < 2 * (8 * (64 << 10)) + 4_096)
        _ = record.append(Self.cancelled)
        #expect(record.bytes < 8 * (64 << 10) + 8_192)
        #expect(record.bytes > 8 * (64 << 10))
        #expect(StreamRecord(GenerationJob(id: "a", prompt: .text(text))).bytes > 64 << 10)
    }

    @Test func thirtyTwoMebibytesAreNotExceeded() {
        var table = StreamTable(now: .zero)
        let text = String(repeating: "x", count: 64 << 10)
        for number in 0..<40 {
            let job = GenerationJob(id: "j\(number)", prompt: "x", seed: 1)
            let reader = ReaderID(UInt64(number))
            take(job, for: reader, into: &table)
            _ = table.receive(Self.events[0], of: job.id, now: .zero)
            for index in 0..<16 {
                let piece = TokenEvent.token(.init(text: text, ids: [1], index: index))
                _ = table.receive(piece, of: job.id, now: .zero)
                #expect(table.recordBytes <= 32 << 20)
            }
            _ = table.leave(reader, of: job.id, now: .seconds(number))
        }
        // Forty MiB came; what is kept is that of the clients who left last.
        let kept = (0..<40).compactMap { table.record(of: "j\($0)") }
        #expect(table.recordBytes == kept.reduce(0) { $0 + $1.bytes })
        #expect(kept.map(\.job.id) == (40 - kept.count..<40).map { "j\($0)" })
        #expect(table.recordBytes > 28 << 20, "\(kept.count) records")
    }

    @Test func recordsAreKeptForAMinuteAfterTheClientLeft() {
        var table = table(3)
        _ = table.tick(now: .seconds(1_000), isServed: true)
        #expect(table.record(of: "a") != nil, "its client reads")
        _ = table.leave(Self.one, of: "a", now: .seconds(1_000))
        _ = table.receive(Self.cancelled, of: "a", now: .seconds(1_001))
        _ = table.tick(now: .seconds(1_060), isServed: true)
        #expect(table.record(of: "a") != nil)
        _ = table.tick(now: .milliseconds(1_061_001), isServed: true)
        #expect(table.record(of: "a") == nil)
    }

    @Test func aSecondStartIsNotKeptAndARefusalNotAtAll() {
        var table = table(3)
        _ = table.receive(Self.events[0], of: "a", now: .zero)
        #expect(table.record(of: "a")?.events == Array(Self.events.prefix(3)))
        take(GenerationJob(id: "b", prompt: "x"), for: Self.two, into: &table)
        _ = table.receive(.error(JobFailure(.queueFull, "full")), of: "b", now: .zero)
        #expect(table.record(of: "b") == nil)
        #expect(table.recordCount == 1)
    }

    @Test func theLongestLeftGoWhereThereAreTooMany() {
        var limits = StreamTable.Limits()
        limits.count = 10
        var table = StreamTable(limits: limits, now: .zero)
        func fill(_ count: Int, prompt: Prompt, leaving: Int) {
            for number in 0..<count {
                let reader = ReaderID(UInt64(number))
                let job = GenerationJob(id: "j\(number)", prompt: prompt)
                take(job, for: reader, into: &table)
                if number < leaving {
                    _ = table.leave(reader, of: job.id, now: .milliseconds(number))
                }
            }
            _ = table.tick(now: .milliseconds(30), isServed: true)
        }
        fill(30, prompt: "x", leaving: 25)
        #expect(table.recordCount == 10)
        #expect((20..<30).allSatisfy { table.record(of: "j\($0)") != nil })
        limits.bytes = 10_000
        table = StreamTable(limits: limits, now: .zero)
        fill(5, prompt: .text(String(repeating: "x", count: 4_000)), leaving: 5)
        #expect(table.recordCount == 2)
        #expect(table.record(of: "j4") != nil)
    }

    // MARK: - Coming back

    @Test func whoComesBackBeforeTheLossIsNoticedTakesTheFormersPlace() {
        var table = table(3)
        let actions = table.resume(Self.job, for: Self.two, after: 1)
        #expect(
            actions == [.note(.cameBack(jobID: "a", lastEventID: 1)), .drop(Self.one)]
                + Self.events.prefix(3).map { .deliver($0, to: Self.two) })
        let late = table.leave(Self.one, of: "a", now: .zero)
        #expect(late == [])
        let next = table.receive(Self.events[3], of: "a", now: .zero)
        #expect(next == [.deliver(Self.events[3], to: Self.two)])
    }

    @Test func aJobLeftIsCancelledAndGoesOnAfterItsTokens() {
        var table = table(2)
        let left = table.leave(Self.one, of: "a", now: .zero)
        #expect(left == [.cancel("a")])
        // What was under way is kept; the cancel's answer is no part of the answer.
        #expect(table.receive(Self.events[2], of: "a", now: .zero) == [])
        let back = table.resume(Self.job, for: Self.two, after: 1)
        #expect(back == [.note(.cameBack(jobID: "a", lastEventID: 1))])
        var again = Self.job
        again.resumeIDs = [1, 2, 3]
        let answered = table.receive(Self.cancelled, of: "a", now: .zero)
        #expect(answered == [.submit(again)])
        let taken = table.submitted(isWaiting: true)
        #expect(taken == Self.events.prefix(3).map { .deliver($0, to: Self.two) })
        #expect(table.readers == [Self.two: "a"])
    }

    @Test func aSecondReturnTakesThePlaceOfOneThatWaits() {
        var table = table(2)
        _ = table.leave(Self.one, of: "a", now: .zero)
        _ = table.resume(Self.job, for: Self.two, after: 1)
        let actions = table.resume(Self.job, for: Self.three, after: 0)
        #expect(actions == [.note(.cameBack(jobID: "a", lastEventID: 0)), .drop(Self.two)])
        // Gone again before the cancel was answered: nobody waits.
        #expect(table.leave(Self.three, of: "a", now: .zero) == [])
        #expect(table.receive(Self.cancelled, of: "a", now: .zero) == [])
        #expect(table.record(of: "a")?.ids == [1])
    }

    @Test func anEndThatOvertookTheCancelIsTheAnswersEnd() {
        var table = table(4)
        _ = table.leave(Self.one, of: "a", now: .zero)
        _ = table.resume(Self.job, for: Self.two, after: 3)
        let actions = table.receive(Self.events[4], of: "a", now: .zero)
        #expect(actions == Self.events.map { .deliver($0, to: Self.two) })
        let again = table.resume(Self.job, for: Self.three, after: 4)
        #expect(again.dropFirst() == Self.events.map { .deliver($0, to: Self.three) }[...])
    }

    @Test func whatIsNotHeldIsRefused() {
        var table = table(3)
        #expect(code(table.resume(Self.job, for: Self.two, after: 2)) == .invalidRequest)
        var other = Self.job
        other.prompt = "Goodbye"
        #expect(code(table.resume(other, for: Self.two, after: 1)) == .jobIDConflict)
        other = Self.job
        other.id = "b"
        #expect(code(table.resume(other, for: Self.two, after: 0)) == .invalidRequest)
        // Cancelled in its client's absence, so nobody comes back for it.
        _ = table.leave(Self.one, of: "a", now: .zero)
        #expect(table.cancel("a") == [.cancel("a")])
        #expect(code(table.resume(Self.job, for: Self.two, after: 1)) == .invalidRequest)
    }

    @Test func aCancelOfAJobWhoseClientIsBackIsItsEnd() {
        var table = table(2)
        _ = table.leave(Self.one, of: "a", now: .zero)
        _ = table.resume(Self.job, for: Self.two, after: 1)
        let actions = table.cancel("a")
        #expect(
            actions == Self.events.prefix(2).map { .deliver($0, to: Self.two) } + [.cancel("a")])
        let answered = table.receive(Self.cancelled, of: "a", now: .zero)
        #expect(answered == [.deliver(Self.cancelled, to: Self.two)])
    }

    // MARK: - Ends

    /// A cancelled job may be over for the dispatcher before its last event has come here.
    @Test func anIDIsFreeAfterTheLastEventOnly() {
        var table = table(2)
        _ = table.cancel("a")
        #expect(code(table.open(Self.job, for: Self.two)) == .jobIDConflict)
        _ = table.receive(Self.cancelled, of: "a", now: .zero)
        #expect(table.open(Self.job, for: Self.two) == [.submit(Self.job)])
        #expect(code(table.rejected(JobFailure(.queueFull, "full"))) == .queueFull)
        #expect(table.record(of: "a")?.terminal != nil, "the old answer is still there")
    }

    @Test func jobsWithoutAWorkerAreGivenUpAfterAWhile() {
        var table = table(2)
        #expect(table.tick(now: .seconds(100), isServed: true) == [])
        #expect(table.tick(now: .seconds(130), isServed: false) == [])
        let actions = table.tick(now: .milliseconds(130_001), isServed: false)
        let failure = JobFailure(.workerLost, "no worker came back to go on with the job")
        #expect(
            actions == [
                .note(.gaveUp(jobs: 1)), .ended("a", failure),
                .deliver(.error(failure), to: Self.one), .cancel("a"),
            ])
        // The client may come back for its end, whatever the dispatcher says of its cancel.
        #expect(table.receive(Self.cancelled, of: "a", now: .seconds(131)) == [])
        let back = table.resume(Self.job, for: Self.two, after: 1)
        #expect(back.last == .deliver(.error(failure), to: Self.two))
    }

    @Test(arguments: [(0, true), (1, false), (nil, false)] as [(Int?, Bool)])
    func aPromptOfTooManyTokensIsRefusedWhenTheyAreCounted(limit: Int?, isRefused: Bool) {
        var limits = StreamTable.Limits()
        limits.promptTokens = limit
        var table = StreamTable(limits: limits, now: .zero)
        take(Self.job, for: Self.one, into: &table)
        let actions = table.receive(Self.events[0], of: "a", now: .zero)
        guard isRefused else {
            #expect(actions == [.deliver(Self.events[0], to: Self.one)])
            return
        }
        guard case .ended("a", let failure) = actions.first else {
            Issue.record("\(actions)")
            return
        }
        #expect(failure.code == .contextOverflow)
        #expect(failure.errors.map(\.constraint) == ["max_tokens(0)"])
        #expect(
            actions == [
                .ended("a", failure), .deliver(.error(failure), to: Self.one), .cancel("a"),
            ])
        // What the worker says until it hears of the cancel reaches nobody.
        #expect(table.receive(Self.events[1], of: "a", now: .zero) == [])
        #expect(table.receive(Self.cancelled, of: "a", now: .zero) == [])
        #expect(code(table.resume(Self.job, for: Self.two, after: 0)) == .invalidRequest)
    }

    /// Its client left before the worker counted, and comes back.
    @Test func nothingIsHeldOfAPromptThatWasTooLong() {
        var limits = StreamTable.Limits()
        limits.promptTokens = 0
        var table = StreamTable(limits: limits, now: .zero)
        take(Self.job, for: Self.one, into: &table)
        _ = table.leave(Self.one, of: "a", now: .zero)
        for event in Self.events {
            let actions = table.receive(event, of: "a", now: .zero)
            #expect(actions == [])
        }
        #expect(code(table.resume(Self.job, for: Self.two, after: 0)) == .invalidRequest)
    }

    @Test func aDrainRefusesAtOnceAndEndsAtItsTime() {
        var table = table(2)
        table.drain(until: .seconds(5))
        #expect(code(table.open(GenerationJob(id: "b", prompt: "x"), for: Self.two)) == .draining)
        #expect(table.tick(now: .milliseconds(4_999), isServed: true) == [])
        let actions = table.tick(now: .seconds(5), isServed: true)
        guard case .ended("a", let failure) = actions.first else {
            Issue.record("\(actions)")
            return
        }
        #expect(failure.code == .shutdown)
        #expect(
            actions.dropFirst() == [.deliver(.error(failure), to: Self.one), .cancel("a")])
        #expect(table.readers.isEmpty)
        // A job whose client is away is not taken up again.
        table = self.table(2)
        _ = table.leave(Self.one, of: "a", now: .zero)
        _ = table.receive(Self.cancelled, of: "a", now: .zero)
        table.drain(until: .seconds(5))
        #expect(table.resume(Self.job, for: Self.two, after: 1).count == 2)
    }

    @Test func eventsOfNobodyAreCounted() {
        var table = table()
        #expect(table.receive(Self.events[4], of: "a", now: .zero) == [])
        #expect(table.receive(Self.events[4], of: "b", now: .zero) == [])
        #expect(table.unclaimed == 2)
        #expect(table.leave(Self.one, of: "a", now: .zero) == [])
    }
}
