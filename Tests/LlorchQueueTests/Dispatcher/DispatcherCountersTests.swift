// What the dispatcher counts: each total rises for its reason, once, and for no other.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchQueue
import Testing

@Suite struct DispatcherCountersTests {
    /// What has changed from nothing; boots, of which every test has some, are left out.
    private func counted(
        _ bench: Bench, _ change: (inout Dispatcher.Counters) -> Void
    ) -> Bool {
        var expected = Dispatcher.Counters()
        expected.boots = bench.dispatcher.counters.boots
        change(&expected)
        return bench.dispatcher.counters == expected
    }

    private func withRunningJob() throws -> Bench {
        var bench = Bench()
        _ = bench.beat("w", at: .zero)
        _ = try bench.submit("a")
        let queued = WorkerEvent.Acceptance(state: .queued, position: 0, free: 9)
        _ = bench.say(.accepted(reference("a"), queued), at: .milliseconds(1))
        _ = bench.say(.job(reference("a"), started), at: .milliseconds(2))
        return bench
    }

    @Test func aQuietLifeCountsNothing() throws {
        var bench = try withRunningJob()
        _ = bench.say(.job(reference("a"), token("x", [1], at: 0)), at: .milliseconds(3))
        _ = bench.say(.job(reference("a"), end(tokens: 1)), at: .milliseconds(4))
        #expect(counted(bench) { _ in })
        #expect(bench.dispatcher.counters.boots == 1)
    }

    @Test func aRestartMovesTheJob() throws {
        var bench = try withRunningJob()
        _ = bench.beat("w", boot: 2, at: .milliseconds(100))
        #expect(counted(bench) { $0.movedAfterRestart = 1 })
        #expect(bench.dispatcher.counters.boots == 2)
    }

    @Test func silenceMovesTheJob() throws {
        var bench = try withRunningJob()
        _ = bench.dispatcher.tick(now: .milliseconds(10_003))
        // Its five seconds were over too, but nothing was sent that way.
        #expect(counted(bench) { $0.movedAfterSilence = 1 })
    }

    @Test func aByeMovesTheJob() throws {
        var bench = try withRunningJob()
        _ = bench.say(.bye(reason: "drained"), at: .milliseconds(100))
        #expect(counted(bench) { $0.movedAfterBye = 1 })
    }

    @Test func aRefusalMovesTheJob() throws {
        var bench = try withRunningJob()
        _ = bench.say(
            .job(reference("a"), .error(JobFailure(.shutdown, "x"))), at: .milliseconds(100))
        #expect(counted(bench) { $0.movedAfterRefusal = 1 })
    }

    @Test func aJobGivenUpAsPoisonIsNotMoved() throws {
        var bench = try withRunningJob()
        _ = bench.beat("w", boot: 2, at: .milliseconds(100))
        _ = bench.say(.job(reference("a", 2), started), boot: 2, at: .milliseconds(101))
        #expect(bench.beat("w", boot: 3, at: .milliseconds(200)).failures == [.poison])
        #expect(counted(bench) { $0.movedAfterRestart = 1 })
    }

    @Test func noNewsSendsACopyAndAnAnswerFromMemoryIsAReplay() throws {
        var bench = try withRunningJob()
        _ = bench.beat("w", at: .seconds(5))
        #expect(bench.dispatcher.tick(now: .milliseconds(5_002)).sentAttempts(of: "a") == [1])
        #expect(counted(bench) { $0.resentAfterQuiet = 1 })
        let running = WorkerEvent.Acceptance(state: .running, position: 0, free: 9)
        _ = bench.say(.accepted(reference("a"), running), at: .milliseconds(5_003))
        #expect(
            counted(bench) {
                $0.resentAfterQuiet = 1
                $0.replayed = 1
            })
        #expect(bench.dispatcher.counters.resent == 1)
    }

    @Test func aFinishedJobIsAReplayToTheFirstCopyToo() throws {
        var bench = Bench()
        _ = bench.beat("w", at: .zero)
        _ = try bench.submit("a")
        let done = WorkerEvent.Acceptance(state: .done, position: 0, free: 9)
        _ = bench.say(.accepted(reference("a"), done), at: .milliseconds(1))
        #expect(counted(bench) { $0.replayed = 1 })
    }

    @Test func aJobThatRunsAtOnceIsNoReplay() throws {
        var bench = Bench()
        _ = bench.beat("w", at: .zero)
        _ = try bench.submit("a")
        let running = WorkerEvent.Acceptance(state: .running, position: 0, free: 9)
        _ = bench.say(.accepted(reference("a"), running), at: .milliseconds(1))
        #expect(counted(bench) { _ in })
    }

    @Test func aMissingEventSendsACopy() throws {
        var bench = try withRunningJob()
        // A piece whose predecessor never came, though no number is missing.
        let late = bench.say(.job(reference("a"), token("y", [2], at: 1)), at: .milliseconds(300))
        #expect(late.sentAttempts(of: "a") == [1])
        #expect(counted(bench) { $0.resentAfterGap = 1 })
    }

    @Test func aHoleInTheSequenceIsAGap() throws {
        var bench = try withRunningJob()
        let jump = WorkerEvent(
            worker: "w", boot: 1, sequence: 50,
            body: .job(reference("a"), token("x", [1], at: 0)))
        _ = bench.dispatcher.receive(jump, now: .milliseconds(300))
        #expect(counted(bench) { $0.gaps = 1 })
        #expect(bench.dispatcher.tick(now: .milliseconds(300)).sentAttempts(of: "a") == [1])
        #expect(
            counted(bench) {
                $0.gaps = 1
                $0.resentAfterGap = 1
            })
    }

    @Test(arguments: [false, true]) func aCopyThatCouldNotBeSentIsNotCounted(gap: Bool) throws {
        var bench = try withRunningJob()
        let actions: [Dispatcher.Action]
        if gap {
            actions = bench.say(
                .job(reference("a"), token("y", [2], at: 1)), at: .milliseconds(300))
        } else {
            _ = bench.beat("w", at: .seconds(5))
            actions = bench.dispatcher.tick(now: .milliseconds(5_002))
        }
        let (message, worker) = try #require(actions.sent.first)
        #expect(bench.dispatcher.counters.resent == 1)
        _ = bench.dispatcher.undelivered(message, worker: worker, now: .milliseconds(5_002))
        #expect(counted(bench) { _ in })
    }

    @Test func eventsOfOldAttemptsProcessesAndUnknownJobsAreFenced() throws {
        var bench = try withRunningJob()
        _ = bench.say(.job(reference("a", 9), started), at: .milliseconds(100))
        #expect(bench.dispatcher.counters.fenced == 1)
        _ = bench.say(.job(reference("unknown"), started), at: .milliseconds(101))
        #expect(bench.dispatcher.counters.fenced == 2)
        _ = bench.beat("w", boot: 2, at: .milliseconds(102))
        _ = bench.say(.job(reference("a"), started), boot: 1, at: .milliseconds(103))
        #expect(
            counted(bench) {
                $0.fenced = 3
                $0.movedAfterRestart = 1
            })
    }
}
