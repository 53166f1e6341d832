// The worker's table, rule by rule. Random interleavings: JobTablePropertyTests.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchQueue
import TestSupport
import Testing

@Suite struct JobTableTests {
    @Test func everyCopyIsAccepted() {
        var table = JobTable()
        #expect(
            table.receive(.job(job("a"), attempt: 1), now: .zero).map(\.acceptance) == [.queued])
        #expect(
            table.receive(.job(job("a"), attempt: 1), now: .milliseconds(1)).map(\.acceptance) == [
                .queued
            ])
        #expect(table.queuedCount == 1)
        #expect(table.startNext(now: .milliseconds(2))?.job.id == "a")
        #expect(
            table.receive(.job(job("a"), attempt: 1), now: .milliseconds(3)).map(\.acceptance) == [
                .running
            ])
        #expect(table.startNextIfIdle(now: .milliseconds(4)) == nil)
    }

    @Test func positionsCountTheJobsBefore() {
        var table = JobTable()
        for number in 0..<5 {
            let answers = table.receive(.job(job("j\(number)"), attempt: 1), now: .zero)
            guard case .accepted(_, let acceptance)? = answers.first?.body else {
                Issue.record("no acceptance")
                return
            }
            #expect(acceptance.position == number)
            #expect(acceptance.free == 10_000 - number - 1)
        }
    }

    @Test func aFinishedJobIsReplayedFromWhatIsHeld() {
        var table = finishedTable(tokens: 3)
        let all = table.receive(.job(job("a", tokens: 3), attempt: 1), now: .milliseconds(9))
        #expect(all.first?.acceptance == .done)
        #expect(all.compactMap(\.event) == [started, merged(0..<3), end(tokens: 3)])
        let held = job("a", tokens: 3, resume: [1, 2])
        let rest = table.receive(.job(held, attempt: 1), now: .milliseconds(9))
        #expect(rest.compactMap(\.event) == [started, merged(2..<3), end(tokens: 3)])
    }

    @Test func aHigherAttemptRelabelsAndALowerIsIgnored() {
        var table = finishedTable(tokens: 1)
        let answers = table.receive(.job(job("a", tokens: 1), attempt: 5), now: .milliseconds(9))
        #expect(Set(answers.map(\.reference)) == [reference("a", 5)])
        #expect(table.receive(.job(job("a", tokens: 1), attempt: 4), now: .milliseconds(9)).isEmpty)
        #expect(table.queuedCount == 0)
    }

    @Test func aHigherAttemptOfAPassingFailureRunsAgain() {
        var table = JobTable()
        _ = table.receive(.job(job("a"), attempt: 1), now: .zero)
        _ = table.startNext(now: .zero)
        _ = table.record(.error(JobFailure(.internal, "x")), now: .zero)
        let same = table.receive(.job(job("a"), attempt: 1), now: .milliseconds(1))
        #expect(same.map(\.failure) == [nil, .internal])
        #expect(
            table.receive(.job(job("a"), attempt: 2), now: .milliseconds(1)).map(\.acceptance) == [
                .queued
            ])
        #expect(table.startNext(now: .milliseconds(2))?.job.id == "a")
    }

    @Test func otherContentUnderAKnownIDIsAConflict() {
        var table = JobTable()
        _ = table.receive(.job(job("a"), attempt: 1), now: .zero)
        let other = job("a", prompt: "Goodbye")
        #expect(
            table.receive(.job(other, attempt: 1), now: .milliseconds(1)).map(\.failure) == [
                .jobIDConflict
            ])
        _ = table.startNext(now: .milliseconds(2))
        #expect(
            table.receive(.job(other, attempt: 2), now: .milliseconds(3)).map(\.failure) == [
                .jobIDConflict
            ])
        _ = table.record(.error(JobFailure(.inferenceFailed, "x")), now: .milliseconds(4))
        #expect(
            table.receive(.job(other, attempt: 2), now: .milliseconds(5)).map(\.failure) == [
                .jobIDConflict
            ])
        _ = table.receive(.acknowledge(reference("a")), now: .milliseconds(6))
        #expect(
            table.receive(.job(other, attempt: 2), now: .milliseconds(7)).map(\.acceptance) == [
                .queued
            ])
    }

    /// The acknowledgement goes by another pipe and may overtake copies of the job.
    @Test func aCopyBehindItsAcknowledgementIsReplayedNotRun() {
        var table = finishedTable(tokens: 2)
        _ = table.receive(.acknowledge(reference("a")), now: .milliseconds(6))
        let late = table.receive(.job(job("a", tokens: 2), attempt: 1), now: .milliseconds(7))
        #expect(late.first?.acceptance == .done)
        #expect(late.last?.event == end(tokens: 2))
        #expect(table.startNext(now: .milliseconds(8)) == nil)
        #expect(table.unacknowledged == 0)
        let forgotten = table.limits.settledAge + .milliseconds(7)
        _ = table.expire(now: forgotten)
        let anew = table.receive(.job(job("a", tokens: 2), attempt: 1), now: forgotten)
        #expect(anew.map(\.acceptance) == [.queued])
    }

    @Test func anAcknowledgedIDIsFreeForOtherContentAndForFailuresThatAreTriedAgain() {
        var table = finishedTable(tokens: 1)
        _ = table.receive(.acknowledge(reference("a")), now: .milliseconds(6))
        let other = table.receive(
            .job(job("a", prompt: "Goodbye"), attempt: 1), now: .milliseconds(7))
        #expect(other.map(\.acceptance) == [.queued])
        _ = table.startNext(now: .milliseconds(8))
        _ = table.record(.error(JobFailure(.inferenceFailed, "x")), now: .milliseconds(9))
        _ = table.receive(.acknowledge(reference("a")), now: .milliseconds(10))
        let again = table.receive(
            .job(job("a", prompt: "Goodbye"), attempt: 1), now: .milliseconds(11))
        #expect(again.map(\.acceptance) == [.queued])
    }

    @Test func timeLimitsAndResumptionAreNoOtherContent() {
        var table = JobTable()
        _ = table.receive(.job(job("a", deadline: 500), attempt: 1), now: .zero)
        let copy = job("a", deadline: 300, resume: [7])
        #expect(
            table.receive(.job(copy, attempt: 2), now: .milliseconds(1)).map(\.acceptance) == [
                .queued
            ])
    }

    @Test func cancelIsAnsweredWhereverTheJobIs() {
        var table = finishedTable(tokens: 1)
        let done = table.receive(.cancel(reference("a", 3)), now: .milliseconds(9))
        #expect(done.compactMap(\.event) == [end(tokens: 1)])
        #expect(done.map(\.reference) == [reference("a", 1)])

        let unknown = table.receive(.cancel(reference("later", 2)), now: .milliseconds(9))
        #expect(unknown.map(\.failure) == [.cancelled])
        #expect(unknown.map(\.reference) == [reference("later", 2)])
        let late = table.receive(.job(job("later"), attempt: 2), now: .milliseconds(10))
        #expect(late.map(\.failure) == [.cancelled])

        _ = table.receive(.job(job("queued"), attempt: 1), now: .milliseconds(11))
        #expect(
            table.receive(.cancel(reference("queued")), now: .milliseconds(12)).map(\.failure) == [
                .cancelled
            ])
        #expect(table.startNextIfIdle(now: .milliseconds(13)) == nil)

        _ = table.receive(.job(job("running"), attempt: 1), now: .milliseconds(14))
        _ = table.startNext(now: .milliseconds(15))
        let ended = table.receive(.cancel(reference("running")), now: .milliseconds(16))
        #expect(ended.map(\.failure) == [.cancelled])
        #expect(table.running == nil)
    }

    @Test func tombstonesAreForgottenInTime() {
        var table = JobTable()
        _ = table.receive(.cancel(reference("a")), now: .zero)
        let forgotten = table.limits.tombstoneAge + .milliseconds(1)
        _ = table.expire(now: forgotten)
        let answers = table.receive(.job(job("a"), attempt: 1), now: forgotten)
        #expect(answers.map(\.acceptance) == [.queued])
    }

    @Test func deadlinesHoldInTheQueueAndInTheRun() {
        var table = JobTable()
        _ = table.receive(.job(job("run", deadline: 100), attempt: 1), now: .zero)
        _ = table.receive(.job(job("wait", deadline: 50), attempt: 1), now: .zero)
        _ = table.startNext(now: .zero)
        #expect(table.nextDue == .milliseconds(50))
        #expect(table.expire(now: .milliseconds(49)).isEmpty)
        let first = table.expire(now: .milliseconds(50))
        #expect(first.map(\.reference) == [reference("wait")])
        #expect(first.map(\.failure) == [.inferenceTimeout])
        #expect(table.expire(now: .milliseconds(120)).map(\.failure) == [.inferenceTimeout])
        #expect(table.running == nil)
        #expect(table.nextDue == nil)
    }

    @Test func aLeaseLastsFromPingToPing() {
        var table = JobTable()
        _ = table.receive(.job(job("a", lease: 100), attempt: 1), now: .zero)
        _ = table.receive(.ping(jobID: "a"), now: .milliseconds(90))
        #expect(table.expire(now: .milliseconds(150)).isEmpty)
        _ = table.receive(.ping(jobID: nil), now: .milliseconds(180))
        #expect(table.expire(now: .milliseconds(260)).isEmpty)
        #expect(table.expire(now: .milliseconds(300)).map(\.failure) == [.cancelled])
    }

    @Test func fullAndDrainingRefuse() {
        var limits = JobTable.Limits()
        limits.jobs = 2
        var table = JobTable(limits: limits)
        _ = table.receive(.job(job("a"), attempt: 1), now: .zero)
        _ = table.receive(.job(job("b"), attempt: 1), now: .zero)
        #expect(
            table.receive(.job(job("c"), attempt: 1), now: .zero).map(\.failure) == [.queueFull])
        _ = table.startNext(now: .zero)
        #expect(
            table.receive(.job(job("c"), attempt: 1), now: .zero).map(\.acceptance) == [.queued])
        let handedBack = table.receive(.drain, now: .milliseconds(1))
        #expect(handedBack.map(\.reference?.jobID) == ["b", "c"])
        #expect(handedBack.map(\.failure) == [.draining, .draining])
        #expect(table.running?.jobID == "a")
        #expect(
            table.receive(.job(job("d"), attempt: 1), now: .milliseconds(2)).map(\.failure) == [
                .draining
            ])
        #expect(
            table.receive(.job(job("a"), attempt: 1), now: .milliseconds(2)).map(\.acceptance) == [
                .running
            ])
        #expect(table.free == 0)
    }

    @Test func bytesAreBoundedToo() {
        var limits = JobTable.Limits()
        limits.jobBytes = 10_000
        var table = JobTable(limits: limits)
        let long = String(repeating: "x", count: 6_000)
        _ = table.receive(.job(job("a", prompt: .text(long)), attempt: 1), now: .zero)
        let second = table.receive(.job(job("b", prompt: .text(long)), attempt: 1), now: .zero)
        #expect(second.map(\.failure) == [.queueFull])
    }

    @Test func malformedMessagesAreAnsweredTenTimesASecond() {
        var table = JobTable()
        let error = WireError(.syntax, JobFailure(.malformed, "no JSON"))
        let answers = (0..<1_000).flatMap { _ in table.refuse(error, now: .milliseconds(500)) }
        #expect(answers.map(\.failure) == Array(repeating: .malformed, count: 10))
        #expect(table.malformed == 1_000)
        #expect(table.refuse(error, now: .seconds(1)).count == 1)
        let named = WireError(.invalid, JobFailure(.invalidRequest, "bad"), job: reference("x"))
        let refusals = (0..<50).flatMap { _ in table.refuse(named, now: .milliseconds(500)) }
        #expect(refusals.count == 50)
    }

    /// A table whose job "a" ended after this many tokens.
    private func finishedTable(tokens: Int) -> JobTable {
        var table = JobTable()
        _ = table.receive(.job(job("a", tokens: tokens), attempt: 1), now: .zero)
        _ = table.startNext(now: .milliseconds(1))
        for event in [started] + pieces(0..<tokens) + [end(tokens: tokens)] {
            _ = table.record(event, now: .milliseconds(2))
        }
        return table
    }

    private func pieces(_ range: Range<Int>) -> [TokenEvent] {
        range.map { .token(ScriptedBackend.piece(of: "a", at: $0)) }
    }

    private func merged(_ range: Range<Int>) -> TokenEvent {
        let pieces = range.map { ScriptedBackend.piece(of: "a", at: $0) }
        return token(pieces.map(\.text).joined(), pieces.flatMap(\.ids), at: range.lowerBound)
    }
}

extension JobTable {
    /// The next job's id, unless one runs.
    mutating func startNextIfIdle(now: Duration) -> String? {
        running == nil ? startNext(now: now)?.job.id : nil
    }
}
