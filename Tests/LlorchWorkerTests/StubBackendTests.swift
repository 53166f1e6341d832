// The stub engine of the fault tests: what it says must be what Tests/FaultTests/oracle.py expects.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchProtocol
import LlorchQueue
import LlorchWorker
import Testing
import stub_worker

@Suite struct StubBackendTests {
    /// Computed by `token` of Tests/FaultTests/oracle.py.
    @Test func tokensAreTheOraclesTokens() {
        #expect((0..<4).map { StubBackend.token("a", $0) } == [34_651, 15_868, 7_551, 9_040])
        #expect([0, 300].map { StubBackend.token("jöb-7", $0) } == [16_528, 25_890])
    }

    @Test(arguments: [0, 1, 5, 6, 7, 15])
    func whoeverHoldsSomeTokensGetsTheRest(held: Int) throws {
        var job = job("a", tokens: 40)
        let whole = (0..<40).map { StubBackend.token("a", $0) }
        job.resumeIDs = Array(whole[..<held])
        let events = try events(of: job)
        guard case .started? = events.first, case .end(let end)? = events.last else {
            Issue.record("\(events)")
            return
        }
        let pieces = events.compactMap { if case .token(let piece) = $0 { piece } else { nil } }
        #expect(pieces.count == events.count - 2)
        #expect(job.resumeIDs + pieces.flatMap(\.ids) == whole)
        #expect(pieces.map(\.text).joined() == whole[held...].map { "t\($0) " }.joined())
        #expect(pieces.first?.index == held)
        #expect(end.tokensOut == 40)
        // Some pieces cover more than one token, or readers that count pieces would pass.
        #expect(pieces.contains { $0.ids.count > 1 })
    }

    @Test func optionsAreRead() throws {
        let options = try StubOptions(parsing: "stub:ms=7,prefill=20,load=3,replay=0,tombstones=2")
        #expect(options.token == .milliseconds(7))
        #expect(options.prefill == .milliseconds(20))
        #expect(options.load == .milliseconds(3))
        #expect(options.limits.finished == 0)
        #expect(options.limits.tombstones == 2)
        #expect(try StubOptions(parsing: "stub").limits.finished > 0)
    }

    @Test(arguments: ["", "cpu", "stub:ms", "stub:ms=", "stub:ms=-1", "stub:ms=1e9", "stub:a=1"])
    func otherOptionsAreRefused(text: String) {
        #expect(throws: StubOptionError.self) { try StubOptions(parsing: text) }
    }

    @Test func crashPointsAreRead() throws {
        for point in CrashPoint.allCases {
            let once = try CrashPlan(parsing: point.rawValue)
            #expect(once.point == point && once.count == 1)
            let third = try CrashPlan(parsing: point.rawValue + ":3")
            #expect(third.point == point && third.count == 3)
        }
        for text in ["", "nowhere", "load:0", "load:-1", "load:x", "load:"] {
            #expect(throws: CrashPlanError.self, "\(text)") { try CrashPlan(parsing: text) }
        }
    }

    @Test func everyCrashPointIsAStageOfTheWorker() {
        let end = TokenEvent.end(
            TokenEvent.End(
                tokensOut: 0, decodeTimeMilliseconds: 0, stopReason: .maximumTokens,
                promptTokens: 0, prefillMilliseconds: 0))
        let started = TokenEvent.started(
            TokenEvent.Started(
                model: "", startedAt: "", seed: 0, promptTokens: 0, queuedMilliseconds: 0))
        let token = TokenEvent.token(TokenEvent.TokenPiece(text: "", ids: [], index: 0))
        let events = [started, token, end]
        let stages =
            [
                .loading, .messageReceived, .jobDecided, .jobsAnswered, .stepDone, .sent, .looked,
                .draining, .awaitingAcknowledgements,
            ] + events.map(WorkerStage.eventBegins) + events.map(WorkerStage.eventEnded)
        let points = stages.compactMap(CrashPoint.init)
        #expect(Set(points) == Set(CrashPoint.allCases))
        #expect(points.count == CrashPoint.allCases.count)
        let error = TokenEvent.error(JobFailure(.internal, ""))
        #expect(CrashPoint(.eventBegins(error)) == nil && CrashPoint(.eventEnded(error)) == nil)
    }

    private func events(of job: GenerationJob) throws -> [TokenEvent] {
        var backend = StubBackend(try StubOptions(parsing: "stub:ms=0"))
        try backend.start(job, queuedMilliseconds: 0)
        var events: [TokenEvent] = []
        while true {
            switch backend.step() {
            case .working: continue
            case .event(let event): events.append(event)
            case .finished: return events
            }
        }
    }
}
