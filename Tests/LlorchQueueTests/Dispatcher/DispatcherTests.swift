// The dispatcher's rules one by one. In every weather at once: DispatcherPropertyTests.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchQueue
import TestSupport
import Testing

@Suite struct DispatcherTests {
    @Test func aJobWaitsForAWorkerAndGoesToIt() throws {
        var bench = Bench()
        #expect(try bench.submit("a").isEmpty)
        let actions = bench.beat("w", at: .milliseconds(5))
        #expect(actions.contains(.connect(worker: "w", jobs: "j", control: "c")))
        #expect(actions.sentAttempts(of: "a") == [1])
        #expect(try bench.submit("b").isEmpty, "the window is one job")
    }

    @Test func loadingAndLeavingWorkersAreGivenNothing() throws {
        var bench = Bench()
        _ = try bench.submit("a")
        for state in [WorkerStatus.State.loading, .draining, .stalled] {
            #expect(bench.beat("w", state, at: .milliseconds(1)).sentAttempts(of: "a").isEmpty)
        }
        #expect(bench.beat("w", .idle, at: .milliseconds(2)).sentAttempts(of: "a") == [1])
    }

    @Test func anUnreachableWorkerCostsNoAttemptAndTheNextIsTried() throws {
        var bench = Bench()
        _ = bench.beat("v", at: .zero)
        _ = bench.beat("w", at: .zero)
        let first = try bench.submit("a")
        let (message, worker) = try #require(first.sent.first)
        let second = bench.dispatcher.undelivered(message, worker: worker, now: .zero)
        let (again, other) = try #require(second.sent.first)
        #expect(other != worker)
        #expect(again == message)
        let third = bench.dispatcher.undelivered(again, worker: other, now: .zero)
        #expect(third.sent.isEmpty)
        #expect(bench.dispatcher.waitingCount == 1)
        #expect(bench.dispatcher.tick(now: .milliseconds(60)).sentAttempts(of: "a") == [1])
    }

    @Test func silenceAboutAJobSendsTheSameCopyAgain() throws {
        var bench = Bench()
        _ = bench.beat("w", at: .zero)
        _ = try bench.submit("a")
        _ = bench.beat("w", at: .milliseconds(4_900))
        #expect(bench.dispatcher.tick(now: .milliseconds(4_999)).sent.isEmpty)
        #expect(bench.dispatcher.tick(now: .seconds(5)).sentAttempts(of: "a") == [1])
        _ = bench.say(
            .accepted(reference("a"), .init(state: .queued, position: 0, free: 9)), at: .seconds(9))
        #expect(bench.dispatcher.tick(now: .seconds(10)).sent.isEmpty)
    }

    @Test func aSilentWorkersJobsGoElsewhere() throws {
        var bench = Bench()
        _ = bench.beat("w", at: .zero)
        _ = try bench.submit("a")
        _ = bench.beat("v", at: .seconds(9))
        let actions = bench.dispatcher.tick(now: .milliseconds(10_001))
        #expect(actions.sent.map(\.worker) == ["v"])
        #expect(actions.sentAttempts(of: "a") == [2])
        let ghost = bench.say(.job(reference("a", 1), started), at: .milliseconds(10_002))
        #expect(ghost.delivered.isEmpty)
        #expect(bench.dispatcher.counters.fenced == 1)
    }

    @Test func aNewBootVoidsWhatWasSentAndFencesTheOld() throws {
        var bench = Bench()
        _ = bench.beat("w", at: .zero)
        _ = try bench.submit("a")
        let actions = bench.beat("w", boot: 2, at: .milliseconds(100))
        #expect(actions.sentAttempts(of: "a") == [2])
        #expect(
            bench.say(.job(reference("a", 2), started), boot: 1, at: .milliseconds(101)).isEmpty)
        #expect(
            bench.say(.job(reference("a", 2), started), boot: 2, at: .milliseconds(102)).delivered
                == [started])
    }

    @Test func theSecondDeathInAJobIsItsLast() throws {
        var bench = Bench()
        _ = bench.beat("w", at: .zero)
        _ = try bench.submit("a")
        _ = bench.say(.job(reference("a", 1), started), at: .milliseconds(1))
        _ = bench.beat("w", boot: 2, at: .milliseconds(2))
        _ = bench.say(.job(reference("a", 2), started), boot: 2, at: .milliseconds(3))
        let actions = bench.beat("w", boot: 3, at: .milliseconds(4))
        #expect(actions.failures == [.poison])
        #expect(!bench.dispatcher.isActive("a"))
    }

    @Test func aJobThatOnlyWaitedInADeadWorkerIsNotBlamed() throws {
        var bench = Bench()
        _ = bench.beat("w", at: .zero)
        _ = try bench.submit("a")
        for boot in 2...9 as ClosedRange<UInt64> {
            #expect(bench.beat("w", boot: boot, at: .milliseconds(boot)).failures.isEmpty)
        }
        #expect(bench.dispatcher.isActive("a"))
    }

    @Test func aGapIsAskedForAtOnceAndARepeatIsNotGiven() throws {
        var bench = Bench()
        _ = bench.beat("w", at: .zero)
        _ = try bench.submit("a")
        let pieces = (0..<4).map { TokenEvent.token(ScriptedBackend.piece(of: "a", at: $0)) }
        _ = bench.say(.job(reference("a"), started), at: .milliseconds(1))
        #expect(
            bench.say(.job(reference("a"), pieces[0]), at: .milliseconds(2)).delivered == [
                pieces[0]
            ])
        let gap = bench.say(.job(reference("a"), pieces[2]), at: .milliseconds(300))
        #expect(gap.delivered.isEmpty)
        #expect(gap.sentAttempts(of: "a") == [1])
        #expect(
            bench.say(.job(reference("a"), pieces[0]), at: .milliseconds(301)).delivered.isEmpty)
        #expect(
            bench.say(.job(reference("a"), pieces[1]), at: .milliseconds(302)).delivered == [
                pieces[1]
            ])
        let early = bench.say(.job(reference("a"), end(tokens: 4)), at: .milliseconds(600))
        #expect(early.delivered.isEmpty, "two tokens are missing")
        #expect(early.sentAttempts(of: "a") == [1])
    }

    @Test func otherTokensAtTheSamePlaceEndTheJob() throws {
        var bench = Bench()
        _ = bench.beat("w", at: .zero)
        _ = try bench.submit("a")
        _ = bench.say(.job(reference("a"), started), at: .milliseconds(1))
        _ = bench.say(
            .job(reference("a"), .token(.init(text: "x", ids: [1], index: 0))), at: .milliseconds(2)
        )
        let other = bench.say(
            .job(reference("a"), .token(.init(text: "y", ids: [2], index: 0))), at: .milliseconds(3)
        )
        #expect(other.failures == [.diverged])
        #expect(other.sent.map(\.message) == [.cancel(reference("a"))])
        let late = bench.say(
            .job(reference("a"), .error(JobFailure(.cancelled, "x"))), at: .milliseconds(4))
        #expect(late.delivered.isEmpty)
        #expect(bench.dispatcher.outCount == 0)
    }

    @Test func anotherModelDoesNotGoOn() throws {
        var bench = Bench()
        _ = bench.beat("w", at: .zero)
        _ = try bench.submit("a")
        _ = bench.say(.job(reference("a"), started), at: .milliseconds(1))
        _ = bench.say(
            .job(reference("a"), .token(.init(text: "x", ids: [1], index: 0))), at: .milliseconds(2)
        )
        _ = bench.beat("v", digest: "other", at: .milliseconds(3))
        _ = bench.beat("w", .draining, at: .milliseconds(4))
        let left = bench.say(
            .job(reference("a"), .error(JobFailure(.shutdown, "x"))), at: .milliseconds(5))
        #expect(left.sent.map(\.message) == [.acknowledge(reference("a"))])
        #expect(bench.dispatcher.tick(now: .seconds(2)).sent.isEmpty)
        #expect(bench.beat("u", at: .milliseconds(2_001)).sentAttempts(of: "a") == [2])
    }

    @Test func refusalsMoveTheJobAndFailuresEndIt() throws {
        var bench = Bench()
        _ = bench.beat("w", at: .zero)
        _ = try bench.submit("a")
        let full = bench.say(
            .job(reference("a"), .error(JobFailure(.queueFull, "x"))), at: .milliseconds(1))
        #expect(full.delivered.isEmpty)
        #expect(
            bench.dispatcher.tick(now: .milliseconds(900)).sent.isEmpty,
            "a worker that refused rests")
        #expect(bench.dispatcher.tick(now: .milliseconds(1_001)).sentAttempts(of: "a") == [2])
        let bad = bench.say(
            .job(reference("a", 2), .error(JobFailure(.invalidRequest, "x"))),
            at: .milliseconds(1_100))
        #expect(bad.failures == [.invalidRequest])
        #expect(bad.sent.map(\.message) == [.acknowledge(reference("a", 2))])
    }

    @Test func aJobThatAlwaysFailsIsNotTriedForEver() throws {
        var bench = Bench()
        _ = bench.beat("w", at: .zero)
        var attempts = try bench.submit("a").sentAttempts(of: "a")
        var failures: [JobFailure.Code] = []
        var now = Duration.zero
        while failures.isEmpty, let attempt = attempts.last, now < .seconds(60) {
            failures =
                bench.say(
                    .job(reference("a", attempt), .error(JobFailure(.internal, "x"))), at: now
                ).failures
            now += .seconds(2)
            _ = bench.beat("w", at: now)
            attempts += bench.dispatcher.tick(now: now).sentAttempts(of: "a")
        }
        #expect(failures == [.internal])
        #expect(attempts == [1, 2, 3])
    }

    @Test func cancelIsRepeatedUntilTheEnd() throws {
        var bench = Bench()
        _ = bench.beat("w", at: .zero)
        _ = try bench.submit("a")
        _ = try bench.submit("b")
        #expect(
            bench.dispatcher.cancel("b", now: .milliseconds(1)).failures == [.cancelled],
            "it only waited here")
        let message = DispatcherMessage.cancel(reference("a"))
        #expect(
            bench.dispatcher.cancel("a", now: .milliseconds(10)).sent.map(\.message) == [message])
        #expect(bench.dispatcher.cancel("a", now: .milliseconds(11)).isEmpty)
        #expect(bench.dispatcher.tick(now: .milliseconds(200)).sent.isEmpty)
        #expect(bench.dispatcher.tick(now: .milliseconds(260)).sent.map(\.message) == [message])
        let ended = bench.say(
            .job(reference("a"), .error(JobFailure(.cancelled, "x"))), at: .milliseconds(300))
        #expect(ended.failures == [.cancelled])
        #expect(bench.dispatcher.tick(now: .milliseconds(900)).sent.isEmpty)
        #expect(bench.dispatcher.cancel("unknown", now: .milliseconds(901)).isEmpty)
    }

    @Test func deadlinesHoldWhileWaitingAndTimeSpentIsTakenOff() throws {
        var bench = Bench()
        _ = try bench.submit("late", deadline: 100)
        _ = try bench.submit("sent", deadline: 1_000)
        #expect(bench.dispatcher.tick(now: .milliseconds(100)).failures == [.inferenceTimeout])
        let actions = bench.beat("w", at: .milliseconds(400))
        guard case .job(let copy, _)? = actions.sent.first?.message else {
            Issue.record("nothing was sent")
            return
        }
        #expect(copy.deadlineMilliseconds == 600)
        _ = bench.beat("w", at: .milliseconds(1_900))
        #expect(
            bench.dispatcher.tick(now: .milliseconds(1_999)).failures.isEmpty,
            "the worker has the word")
        #expect(bench.dispatcher.tick(now: .seconds(2)).failures == [.inferenceTimeout])
    }

    @Test func theBacklogAndIDsAreBounded() throws {
        var bench = Bench()
        for number in 0..<1_000 { _ = try bench.submit("j\(number)") }
        #expect(throws: JobFailure.self) { try bench.submit("one more") }
        #expect { try bench.submit("j1") } throws: {
            ($0 as? JobFailure)?.code == .jobIDConflict
        }
    }

    @Test func leasesArePinged() throws {
        var bench = Bench()
        _ = bench.beat("w", at: .zero)
        _ = try bench.submit("a", lease: 3_000)
        #expect(
            bench.dispatcher.tick(now: .milliseconds(1)).sent.map(\.message) == [.ping(jobID: nil)])
        #expect(bench.dispatcher.tick(now: .milliseconds(900)).sent.isEmpty)
        #expect(
            bench.dispatcher.tick(now: .milliseconds(1_002)).sent.map(\.message) == [
                .ping(jobID: nil)
            ])
    }

    @Test func aStrangersJobIsCancelledAfterAWhile() {
        var bench = Bench()
        _ = bench.beat("w", running: "ghost", at: .zero)
        #expect(bench.beat("w", running: "ghost", at: .seconds(9)).sent.isEmpty)
        let actions = bench.beat("w", running: "ghost", at: .seconds(10))
        #expect(actions.sent.map(\.message) == [.cancel(reference("ghost"))])
    }

    @Test func namesWithoutEndAreNotRemembered() {
        var bench = Bench()
        for number in 0..<1_000 { _ = bench.beat("w\(number)", at: .zero) }
        #expect(bench.dispatcher.workers.count == 256)
        #expect(bench.dispatcher.tick(now: .milliseconds(60_001)).count == 256)
        #expect(bench.dispatcher.workers.isEmpty)
    }

    @Test func aStuckSocketIsReplaced() throws {
        var bench = Bench()
        _ = bench.beat("w", at: .zero)
        var actions = try bench.submit("a")
        for now in (0...52).map({ Duration.milliseconds(200 * $0) }) {
            _ = bench.beat("w", at: now)
            while let (message, worker) = actions.sent.first {
                actions = bench.dispatcher.undelivered(message, worker: worker, now: now)
                if actions.contains(.reconnect(worker: "w")) {
                    #expect(now > .seconds(10))
                    return
                }
            }
            actions = bench.dispatcher.tick(now: now + .milliseconds(100))
        }
        Issue.record("the socket was never replaced")
    }
}
