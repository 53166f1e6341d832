// Two processes under one name, and a worker whose boot number went back.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchQueue
import Testing

@Suite struct NameConflictTests {
    private func conflict(_ bench: Bench, at now: Duration) -> NameConflict? {
        bench.dispatcher.worker("w")?.conflict(now: now)
    }

    @Test func twoProcessesThatLiveAreSaidWithinTwoHeartbeats() {
        var bench = Bench()
        _ = bench.beat("w", boot: 1, at: .zero)
        _ = bench.beat("w", boot: 2, at: .milliseconds(500))
        _ = bench.beat("w", boot: 1, at: .seconds(1))
        #expect(conflict(bench, at: .seconds(1)) == nil, "it may have waited in a pipe")
        _ = bench.beat("w", boot: 2, at: .milliseconds(1_500))
        _ = bench.beat("w", boot: 1, at: .seconds(2))
        #expect(conflict(bench, at: .seconds(2)) == .twoProcesses)
        #expect(bench.dispatcher.worker("w")?.boot == 2)
    }

    @Test func aConflictEndsWithTheOlderProcess() {
        var bench = Bench()
        _ = bench.beat("w", boot: 2, at: .zero)
        for second in 1...3 {
            _ = bench.beat("w", boot: 1, at: .seconds(second))
            _ = bench.beat("w", boot: 2, at: .seconds(second))
        }
        #expect(conflict(bench, at: .seconds(6)) == .twoProcesses)
        _ = bench.beat("w", boot: 2, at: .milliseconds(6_001))
        #expect(conflict(bench, at: .milliseconds(6_001)) == nil)
    }

    /// What a process that was killed had still sent comes at once, not over seconds.
    @Test func whatADeadProcessLeftInThePipeIsNoConflict() {
        var bench = Bench()
        _ = bench.beat("w", boot: 2, at: .zero)
        for _ in 1...20 { _ = bench.beat("w", boot: 1, at: .milliseconds(20)) }
        #expect(conflict(bench, at: .milliseconds(20)) == nil)
        #expect(bench.dispatcher.counters.fenced == 20)
    }

    @Test func aBootThatWentBackIsSaidAtOnceAndAcceptedOnceItsFormerSelfIsForgotten() {
        var bench = Bench()
        _ = bench.beat("w", boot: 9, at: .zero)
        var now = Duration.seconds(4)
        while now < .seconds(60) {
            let actions = bench.beat("w", boot: 1, at: now)
            #expect(actions.isEmpty)
            _ = bench.dispatcher.tick(now: now)
            if now >= .seconds(5) { #expect(conflict(bench, at: now) == .bootWentBack, "\(now)") }
            now += .seconds(1)
        }
        _ = bench.dispatcher.tick(now: .milliseconds(60_001))
        let actions = bench.beat("w", boot: 1, at: .seconds(61))
        #expect(actions.contains(.connect(worker: "w", jobs: "j", control: "c")))
        #expect(bench.dispatcher.worker("w")?.boot == 1)
        #expect(conflict(bench, at: .seconds(61)) == nil)
        #expect(bench.dispatcher.worker("w")?.isServing == true)
    }

    /// The newest process said that it ends: nothing of it will come any more.
    @Test func afterAByeTheNameIsFree() throws {
        var bench = Bench()
        _ = bench.beat("w", boot: 9, at: .zero)
        _ = try bench.submit("a")
        _ = bench.say(.bye(reason: "drained"), boot: 9, at: .milliseconds(1))
        let actions = bench.beat("w", boot: 1, at: .milliseconds(2))
        #expect(actions.sentAttempts(of: "a") == [2])
        #expect(bench.dispatcher.worker("w")?.boot == 1)
        #expect(bench.dispatcher.counters.fenced == 0)
    }
}
