// The worker's loop on real sockets: what a dispatcher sees.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchQueue
import LlorchWorker
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct WorkerLoopTests {
    @Test func aJobIsAcceptedStartedAnsweredAndEnded() throws {
        let loop = try LoopUnderTest()
        try loop.send(.job(job("a", tokens: 3), attempt: 1))
        try loop.terminal(of: "a")
        let events = loop.jobEvents("a")
        guard case .started(let started)? = events.first, case .end(let end)? = events.last else {
            Issue.record("\(events)")
            return
        }
        #expect(started.seed == 1)
        #expect(end.tokensOut == 3)
        let pieces = (0..<3).map { TokenEvent.token(ScriptedBackend.piece(of: "a", at: $0)) }
        #expect(Array(events.dropFirst().dropLast()) == pieces)
        #expect(loop.acceptances("a") == [.queued])
        #expect(loop.events.map(\.sequence) == Array(0..<UInt64(loop.events.count)))
    }

    @Test func aThousandJobsAtOnceEndOnceEach() throws {
        let loop = try LoopUnderTest()
        let ids = (0..<1_000).map { "j\($0)" }
        for id in ids { try loop.send(.job(job(id, tokens: 2), attempt: 1)) }
        let events = try loop.wait { events in
            events.count { $0.isTerminal } >= ids.count
        }
        for id in [ids[0], ids[500], ids[999]] {
            let events = loop.jobEvents(id)
            // A reader who is late has tokens in fewer events.
            let tokens = events.flatMap { event -> [TokenID] in
                if case .token(let piece) = event { piece.ids } else { [] }
            }
            #expect(tokens == (0..<2).flatMap { ScriptedBackend.piece(of: id, at: $0).ids })
            let others = events.filter { if case .token = $0 { false } else { true } }
            #expect(others.count == 2, "started and end")
        }
        let ended = events.filter(\.isTerminal).compactMap(\.jobID)
        #expect(Set(ended) == Set(ids))
        #expect(ended.count == ids.count)
        #expect(events.allSatisfy { $0.failure == nil })
    }

    @Test func aQueueThatIsFullSaysSo() throws {
        let gate = Gate()
        var limits = JobTable.Limits()
        limits.jobs = 3
        let loop = try LoopUnderTest(limits: limits) { _ in
            ScriptedBackend(script: { _ in .held(by: gate) })
        }
        try loop.send(.job(job("running"), attempt: 1))
        try loop.wait { events in events.contains { $0.isStart } }
        for number in 0..<5 { try loop.send(.job(job("j\(number)"), attempt: 1)) }
        #expect(try loop.terminal(of: "j3").failure == .queueFull)
        #expect(try loop.terminal(of: "j4").failure == .queueFull)
        gate.open()
        for number in 0..<3 { #expect(try loop.terminal(of: "j\(number)").failure == nil) }
    }

    @Test func cancelIsAnsweredQueuedRunningUnknownAndFinished() throws {
        let loop = try LoopUnderTest { _ in ScriptedBackend(script: { _ in .endless }) }
        try loop.send(.job(job("running", tokens: 2_000), attempt: 1))
        try loop.send(.job(job("queued"), attempt: 1))
        try loop.wait { events in events.contains { $0.isStart } }
        try loop.control(.cancel(reference("queued")))
        #expect(try loop.terminal(of: "queued").failure == .cancelled)
        try loop.control(.cancel(reference("unknown", 7)))
        #expect(try loop.terminal(of: "unknown").failure == .cancelled)
        #expect(loop.events.last { $0.jobID == "unknown" }?.attempt == 7)
        try loop.control(.cancel(reference("running")))
        #expect(try loop.terminal(of: "running").failure == .cancelled)
        try loop.control(.cancel(reference("running")))
        try loop.wait { events in
            events.count { $0.jobID == "running" && $0.isTerminal } == 2
        }
        try loop.send(.job(job("unknown"), attempt: 7))
        try loop.wait { events in events.count { $0.jobID == "unknown" } == 2 }
        #expect(loop.acceptances("unknown").isEmpty, "a tombstone lies there")
        // Whoever cancelled knew of no higher attempt: it is another job under this id.
        try loop.send(.job(job("unknown"), attempt: 8))
        try loop.wait { _ in loop.acceptances("unknown") == [.queued] }
    }

    @Test func aFloodOfNonsenseIsAnsweredSparinglyAndHarmsNoJob() throws {
        let loop = try LoopUnderTest()
        var random = SplitMix(seed: 3)
        for number in 0..<20_000 {
            switch number % 4 {
            case 0: try loop.sendJobs([])
            case 1: try loop.sendJobs((0..<40).map { _ in .random(in: 0...255, using: &random) })
            case 2: try loop.sendJobs(Array("{\"v\":1,\"type\":\"job\"".utf8))
            default: try loop.sendJobs(Array(repeating: 91, count: 1_000))
            }
        }
        try loop.send(.job(job("valid"), attempt: 1))
        #expect(try loop.terminal(of: "valid").failure == nil)
        let refusals = loop.events.count { $0.failure == .malformed }
        #expect(refusals >= 10)
        #expect(refusals < 2_000)
        // Told sparingly, counted all.
        _ = try loop.waitForStatus { $0.malformed == 20_000 }
    }

    @Test func wrongFieldsAndVersionsAreNamed() throws {
        let loop = try LoopUnderTest()
        try loop.sendJobs(
            Array(
                #"{"v":1,"type":"job","job_id":"x","attempt":1,"prompt":"","max_tokens":0}"#.utf8))
        guard case .error(let failure) = try loop.terminal(of: "x") else { return }
        #expect(failure.code == .invalidRequest)
        #expect(Set(failure.errors.map(\.field)) == ["prompt", "max_tokens"])
        try loop.sendJobs(
            Array(#"{"v":2,"type":"job","job_id":"y","attempt":1,"prompt":"a"}"#.utf8))
        #expect(try loop.terminal(of: "y").failure == .unsupportedVersion)
    }

    @Test func aFailingJobDoesNotHarmTheNext() throws {
        let loop = try LoopUnderTest { _ in
            ScriptedBackend(script: { job in
                var script = ScriptedBackend.Script()
                switch job.id {
                case "refused": script.ending = .refuse(JobFailure(.contextOverflow, "long"))
                case "failed":
                    script.ending = .fail(JobFailure(.inferenceFailed, "x"), afterTokens: 2)
                case "disorder": script.ending = .tokenFirst
                case "silence": script.ending = .silence
                default: break
                }
                return script
            })
        }
        let expected: [(String, JobFailure.Code?)] = [
            ("refused", .contextOverflow), ("failed", .inferenceFailed), ("disorder", .internal),
            ("silence", .internal), ("good", nil),
        ]
        for (id, _) in expected { try loop.send(.job(job(id), attempt: 1)) }
        for (id, code) in expected {
            let last = try loop.terminal(of: id)
            #expect(last.failure == code)
            #expect(loop.jobEvents(id).count(where: \.isTerminal) == 1)
        }
        #expect(loop.jobEvents("disorder").count == 1)
    }

    @Test func deadlinesHoldBehindARunningJob() throws {
        let clock = MovedClock(isRunning: true)
        let loop = try LoopUnderTest(watch: .init(clock: clock.now)) { _ in
            ScriptedBackend(script: { _ in .endless })
        }
        let minute: UInt32 = 60_000
        try loop.send(.job(job("running", deadline: 60 * minute), attempt: 1))
        try loop.send(.job(job("queued", deadline: 10 * minute), attempt: 1))
        try loop.wait { events in events.count { $0.isAcceptance } == 2 }
        clock.pass(.seconds(11 * 60))
        #expect(try loop.terminal(of: "queued").failure == .inferenceTimeout)
        #expect(loop.jobEvents("running").allSatisfy { !$0.isTerminal })
        clock.pass(.seconds(50 * 60))
        #expect(try loop.terminal(of: "running").failure == .inferenceTimeout)
    }

    @Test func heartbeatsFlowWhileLoadingAndInsideALongPrefill() throws {
        let isLoaded = Gate()
        let loop = try LoopUnderTest { progress in
            while !isLoaded.isPassable { try progress(0.5) }
            return ScriptedBackend(script: { _ in .endless })
        }
        try loop.send(.job(job("early"), attempt: 1))
        try loop.wait { events in
            events.count { $0.status?.state == .loading && $0.status?.loadProgress == 0.5 } >= 2
        }
        #expect(loop.acceptances("early") == [.queued])
        isLoaded.open()
        let busy = try loop.wait { events in
            events.count { $0.status?.running == "early" } >= 2
        }
        #expect(busy.last { $0.status != nil }?.status?.model?.name == "scripted")
        #expect(loop.jobEvents("early").allSatisfy { !$0.isTerminal })
    }
}
