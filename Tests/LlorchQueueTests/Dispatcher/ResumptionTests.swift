// A job that goes on where it was: what the dispatcher sends again, and what a worker's table makes of it.
// The engine's side of the seam: TokenPiecerTests, and the end-to-end tests with real models.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchQueue
import TestSupport
import Testing

@Suite struct ResumptionTests {
    /// A dispatcher whose worker "w" has given the tokens 1, 2 and 3 of job "a".
    private func interrupted() throws -> Bench {
        var bench = Bench()
        _ = bench.beat("w", at: .zero)
        _ = try bench.submit("a")
        _ = bench.say(.job(reference("a"), started), at: .milliseconds(1))
        _ = bench.say(.job(reference("a"), token("x", [1, 2], at: 0)), at: .milliseconds(2))
        _ = bench.say(.job(reference("a"), token("y", [3], at: 2)), at: .milliseconds(3))
        return bench
    }

    @Test func aMovedJobGoesOnAfterWhatIsHeld() throws {
        var bench = try interrupted()
        let moved = bench.beat("w", boot: 2, at: .milliseconds(100))
        #expect(moved.sentAttempts(of: "a") == [2])
        #expect(moved.resumptions(of: "a") == [[1, 2, 3]])
        #expect(bench.dispatcher.counters.resumed == 1)
        let again = bench.say(.job(reference("a", 2), started), boot: 2, at: .milliseconds(101))
        #expect(again.delivered.isEmpty, "a client is told once that its job starts")
        let last = token("z", [4], at: 3)
        #expect(
            bench.say(.job(reference("a", 2), last), boot: 2, at: .milliseconds(102)).delivered == [
                last
            ])
        let ended = bench.say(
            .job(reference("a", 2), end(tokens: 4)), boot: 2, at: .milliseconds(103))
        #expect(ended.delivered == [end(tokens: 4)])
    }

    @Test func aRepeatedCopyGoesOnAfterWhatIsHeld() throws {
        var bench = try interrupted()
        _ = bench.beat("w", at: .seconds(4))
        #expect(
            bench.dispatcher.tick(now: .milliseconds(5_003)).resumptions(of: "a") == [[1, 2, 3]])
    }

    @Test func aJobWhoseEndAloneIsMissingEnds() throws {
        var bench = try interrupted()
        _ = bench.say(.job(reference("a"), token("z", [4], at: 3)), at: .milliseconds(4))
        let moved = bench.beat("w", boot: 2, at: .milliseconds(100))
        #expect(moved.resumptions(of: "a") == [[1, 2, 3, 4]])
        _ = bench.say(.job(reference("a", 2), started), boot: 2, at: .milliseconds(101))
        let ended = bench.say(
            .job(reference("a", 2), end(tokens: 4)), boot: 2, at: .milliseconds(102))
        #expect(ended.delivered == [end(tokens: 4)])
    }

    @Test func anEndThatLeavesTokensOutIsNotBelieved() throws {
        var bench = try interrupted()
        let early = bench.say(.job(reference("a"), end(tokens: 4)), at: .milliseconds(300))
        #expect(early.delivered.isEmpty)
        #expect(early.resumptions(of: "a") == [[1, 2, 3]])
    }

    @Test func anOverlappingPieceIsNotUsed() throws {
        var bench = try interrupted()
        let overlap = bench.say(
            .job(reference("a"), token("yz", [3, 4], at: 2)), at: .milliseconds(300))
        #expect(overlap.delivered.isEmpty)
        #expect(overlap.resumptions(of: "a") == [[1, 2, 3]])
        let wrong = bench.say(
            .job(reference("a"), token("yz", [9, 4], at: 2)), at: .milliseconds(301))
        #expect(wrong.failures == [.diverged])
    }

    @Test func piecesThatNeverFitEndTheJob() throws {
        var bench = try interrupted()
        var failures: [JobFailure.Code] = []
        for time in 0..<10 {
            let overlap = bench.say(
                .job(reference("a"), token("yz", [3, 4], at: 2)), at: .milliseconds(300 + time))
            failures += overlap.failures
        }
        #expect(failures == [.diverged])
    }

    @Test func moreTokensThanAskedForEndTheJob() throws {
        var bench = try interrupted()
        let more = bench.say(
            .job(reference("a"), token("zz", [4, 5], at: 3)), at: .milliseconds(4))
        #expect(more.failures == [.diverged])
    }

    /// They would be missing in the client's answer, or be more than it asked for.
    @Test func logProbabilitiesUnlikeTheJobEndIt() throws {
        var bench = try interrupted()
        let unasked = TokenEvent.token(
            .init(
                text: "z", ids: [4], index: 3,
                logProbabilities: [.init(id: 4, bytes: [122], logProbability: -1, top: [])]))
        #expect(
            bench.say(.job(reference("a"), unasked), at: .milliseconds(4)).failures == [.diverged])
    }

    @Test func aWorkerThatDoesNotTellItsModelIsNotResumedOn() throws {
        var bench = try interrupted()
        let unknown = WorkerStatus(state: .idle, jobs: "j", control: "c")
        _ = bench.say(.heartbeat(unknown), worker: "v", at: .milliseconds(4))
        _ = bench.beat("w", .draining, at: .milliseconds(5))
        let left = bench.say(
            .job(reference("a"), .error(JobFailure(.shutdown, "x"))), at: .milliseconds(6))
        #expect(left.sentAttempts(of: "a").isEmpty)
        #expect(bench.dispatcher.isActive("a"))
    }

    @Test func aWorkerThatLoadsIsWaitedForUntilItsModelIsKnown() throws {
        var bench = try interrupted()
        _ = bench.beat("v", digest: "other", at: .milliseconds(4))
        let loading = WorkerStatus(state: .loading, jobs: "j", control: "c")
        _ = bench.say(.heartbeat(loading), boot: 2, at: .milliseconds(5))
        #expect(bench.dispatcher.tick(now: .milliseconds(6)).failures.isEmpty)
        let other = bench.beat("w", boot: 2, digest: "third", at: .milliseconds(7))
        #expect((other + bench.dispatcher.tick(now: .milliseconds(8))).failures == [.diverged])
    }

    @Test func aCancelEndsAJobWhoseLastCopyWasLost() throws {
        var bench = try interrupted()
        _ = bench.dispatcher.tick(now: .milliseconds(10_004))
        let back = bench.beat("w", at: .milliseconds(10_005))
        #expect(back.sentAttempts(of: "a") == [2])
        _ = bench.dispatcher.cancel("a", now: .milliseconds(10_006))
        let answer = bench.say(
            .job(reference("a", 1), .error(JobFailure(.cancelled, "x"))), at: .milliseconds(10_007))
        #expect(answer.failures == [.cancelled])
        #expect(bench.dispatcher.outCount == 0)
    }

    @Test func aMissingSeedIsChosenOnce() throws {
        var bench = Bench()
        _ = bench.beat("w", at: .zero)
        var seedless = job("a")
        seedless.seed = nil
        let first = try bench.dispatcher.submit(seedless, now: .zero).sent
        let second = bench.beat("w", boot: 2, at: .milliseconds(100)).sent
        let seeds = (first + second).map { message, _ -> UInt64? in
            if case .job(let job, _) = message { return job.seed }
            return nil
        }
        #expect(seeds.count == 2)
        #expect(seeds[0] != nil)
        #expect(seeds[0] == seeds[1])
    }

    @Test func aJobMayBringTokensOfItsOwn() throws {
        var bench = Bench()
        _ = bench.beat("w", at: .zero)
        let actions = try bench.dispatcher.submit(job("a", resume: [1, 2]), now: .zero)
        #expect(actions.resumptions(of: "a") == [[1, 2]])
        _ = bench.say(.job(reference("a"), started), at: .milliseconds(1))
        let next = token("y", [3], at: 2)
        #expect(bench.say(.job(reference("a"), next), at: .milliseconds(2)).delivered == [next])
        let moved = bench.beat("w", boot: 2, at: .milliseconds(100))
        #expect(moved.resumptions(of: "a") == [[1, 2, 3]])
    }

    @Test func anIDUsedAgainBeginsAboveItsLastAttempt() throws {
        var bench = try interrupted()
        _ = bench.dispatcher.cancel("a", now: .milliseconds(4))
        _ = bench.say(
            .job(reference("a"), .error(JobFailure(.cancelled, "x"))), at: .milliseconds(5))
        #expect(try bench.submit("a").sentAttempts(of: "a") == [2])
    }

    @Test func aWorkerThatIsHeardButNeverAnswersGetsAHigherAttempt() throws {
        var bench = Bench()
        _ = bench.beat("w", at: .zero)
        var attempts = try bench.submit("a").sentAttempts(of: "a")
        for now in (0...40).map({ Duration.milliseconds(500 * $0) }) {
            _ = bench.beat("w", at: now)
            attempts += bench.dispatcher.tick(now: now).sentAttempts(of: "a")
        }
        #expect(attempts == [1, 1, 1, 2, 2])
        #expect(bench.dispatcher.counters.relabelled == 1)
    }

    // MARK: - Who is blamed

    @Test func theNoteOfADeadProcessTellsWhichJobItDiedIn() throws {
        var bench = Bench()
        _ = bench.beat("w", at: .zero)
        _ = try bench.submit("a")
        // Nothing was heard of the job: only the note knows that it ran.
        _ = bench.beat("w", boot: 2, crashedOn: "a", at: .milliseconds(10))
        let actions = bench.beat("w", boot: 3, crashedOn: "a", at: .milliseconds(20))
        #expect(actions.failures == [.poison])
    }

    @Test func theNoteOfADeadProcessAcquitsOthers() throws {
        var bench = try interrupted()
        _ = bench.beat("w", boot: 2, crashedOn: "another", at: .milliseconds(10))
        _ = bench.say(.job(reference("a", 2), started), boot: 2, at: .milliseconds(11))
        _ = bench.beat("w", boot: 3, crashedOn: "another", at: .milliseconds(20))
        #expect(bench.dispatcher.isActive("a"))
    }

    @Test func oneDeathCountsOnceHoweverOftenItIsNoticed() throws {
        var bench = try interrupted()
        #expect(bench.dispatcher.tick(now: .milliseconds(10_004)).failures.isEmpty)
        let back = bench.beat("w", boot: 2, crashedOn: "a", at: .seconds(11))
        #expect(back.failures.isEmpty)
        #expect(back.sentAttempts(of: "a") == [2])
    }

    // MARK: - The worker's table

    @Test func aTableReplaysInOnePiece() {
        var table = running(resumed: [])
        for event in pieces(0..<3) { _ = table.record(event, now: .milliseconds(2)) }
        let answers = table.receive(.job(job("a", resume: [1]), attempt: 2), now: .milliseconds(3))
        #expect(answers.map(\.acceptance) == [.running, nil, nil])
        let expected = TokenEvent.TokenPiece(text: "b c ", ids: [12, 13], index: 1)
        #expect(answers.compactMap(\.event) == [started, .token(expected)])
        #expect(Set(answers.map(\.reference)) == [reference("a", 2)])
        #expect(
            table.record(end(tokens: 3), now: .milliseconds(4)).map(\.reference) == [
                reference("a", 2)
            ])
    }

    @Test func aQueuedJobTakesOverWhatIsHeldByNow() {
        var table = JobTable()
        _ = table.receive(.job(job("a"), attempt: 1), now: .zero)
        _ = table.receive(.job(job("a", resume: [7, 8]), attempt: 1), now: .milliseconds(1))
        #expect(table.startNext(now: .milliseconds(2))?.job.resumeIDs == [7, 8])
    }

    @Test func aReaderWhoLostTheBeginningGetsAnotherRun() {
        var table = running(resumed: [11, 12])
        _ = table.record(.token(.init(text: "c ", ids: [13], index: 2)), now: .milliseconds(2))
        let again = table.receive(.job(job("a"), attempt: 2), now: .milliseconds(3))
        #expect(again.map(\.acceptance) == [.queued])
        #expect(table.running == nil)
        #expect(table.startNext(now: .milliseconds(4))?.job.resumeIDs == [])
        for event in pieces(0..<4) + [end(tokens: 4)] {
            _ = table.record(event, now: .milliseconds(5))
        }
        let all = table.receive(.job(job("a"), attempt: 3), now: .milliseconds(6))
        #expect(all.first?.acceptance == .done)
    }

    @Test func aFinishedRunWithoutTheBeginningIsRunAgain() {
        var table = running(resumed: [11, 12])
        _ = table.record(end(tokens: 2), now: .milliseconds(2))
        #expect(
            table.receive(.job(job("a"), attempt: 2), now: .milliseconds(3)).map(\.acceptance) == [
                .queued
            ])
    }

    @Test func aTombstoneHoldsForTheAttemptThatWasCancelled() {
        var table = JobTable()
        _ = table.receive(.cancel(reference("a", 2)), now: .zero)
        #expect(
            table.receive(.job(job("a"), attempt: 2), now: .milliseconds(1)).map(\.failure) == [
                .cancelled
            ])
        #expect(
            table.receive(.job(job("a"), attempt: 3), now: .milliseconds(2)).map(\.acceptance) == [
                .queued
            ])
    }

    @Test func aLateCancelDoesNotEndAJobThatWasSentAgain() {
        var table = JobTable()
        _ = table.receive(.job(job("a"), attempt: 2), now: .zero)
        let late = table.receive(.cancel(reference("a", 1)), now: .milliseconds(1))
        #expect(late.map(\.failure) == [.cancelled])
        #expect(late.map(\.reference) == [reference("a", 1)], "fenced by who sent the job again")
        #expect(table.startNext(now: .milliseconds(2))?.job.id == "a")
        #expect(
            table.receive(.cancel(reference("a", 2)), now: .milliseconds(3)).map(\.failure) == [
                .cancelled
            ])
        #expect(table.running == nil)
    }

    @Test func aStrangersJobIsCancelledByTheAttemptItHas() throws {
        var bench = Bench()
        _ = bench.beat("w", running: "ghost", at: .zero)
        _ = bench.say(.job(reference("ghost", 7), token("x", [1], at: 0)), at: .milliseconds(100))
        let actions = bench.beat("w", running: "ghost", at: .seconds(10))
        #expect(actions.sent.map(\.message) == [.cancel(reference("ghost", 7))])
    }

    @Test func aLostLeaseIsNoEndToAMindfulDispatcher() throws {
        var table = JobTable()
        _ = table.receive(.job(job("a", lease: 100), attempt: 1), now: .zero)
        let expired = table.expire(now: .milliseconds(100))
        guard case .error(let failure)? = expired.first?.event else {
            Issue.record("no error: \(expired)")
            return
        }
        #expect(failure.code == .cancelled)
        #expect(failure.retriable)
        #expect(
            table.receive(.job(job("a"), attempt: 2), now: .milliseconds(101)).map(\.acceptance)
                == [.queued])
    }

    /// A table that runs job "a".
    private func running(resumed: [TokenID]) -> JobTable {
        var table = JobTable()
        _ = table.receive(.job(job("a", resume: resumed), attempt: 1), now: .zero)
        _ = table.startNext(now: .zero)
        _ = table.record(started, now: .milliseconds(1))
        return table
    }

    private func pieces(_ range: Range<Int>) -> [TokenEvent] {
        range.map { place in
            let letter = Character(UnicodeScalar(UInt8(97 + place)))
            return token("\(letter) ", [TokenID(11 + place)], at: place)
        }
    }

    /// A replay begins with a whole piece: only the model's tokenizer could cut the text of a piece.
    @Test(
        arguments: [
            ([], "xé", [1, 2, 3, 4, 5], 0), ([1], "xé", [1, 2, 3, 4, 5], 0),
            ([1, 2], "é", [3, 4, 5], 2), ([1, 2, 3, 4], "é", [3, 4, 5], 2),
        ] as [([TokenID], String, [TokenID], Int)])
    func aReaderGetsThePiecesOfWhichSomethingIsMissing(
        held: [TokenID], text: String, ids: [TokenID], index: Int
    ) {
        var table = JobTable()
        _ = table.receive(.job(job("a", tokens: 5), attempt: 1), now: .zero)
        _ = table.startNext(now: .zero)
        for event in [started, token("x", [1, 2], at: 0), token("é", [3, 4, 5], at: 2)] {
            _ = table.record(event, now: .milliseconds(1))
        }
        let copy = DispatcherMessage.job(job("a", tokens: 5, resume: held), attempt: 1)
        let wanted = [started, token(text, ids, at: index)]
        #expect(table.receive(copy, now: .milliseconds(2)).compactMap(\.event) == wanted)
        _ = table.record(end(tokens: 5), now: .milliseconds(3))
        let afterwards = table.receive(copy, now: .milliseconds(4)).compactMap(\.event)
        #expect(afterwards == wanted + [end(tokens: 5)])
    }
}
