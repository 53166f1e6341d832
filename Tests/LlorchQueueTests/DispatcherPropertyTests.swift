// What a client is promised, in every weather: one terminal event, no token lost, repeated or out of order.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchQueue
import TestSupport
import Testing

@Suite struct DispatcherPropertyTests {
    @Test(arguments: 0..<4 as Range<UInt64>)
    func fairWeatherRunsEachJobOnce(seed: UInt64) throws {
        let simulation = try run(seed: seed, Weather(), jobs: 60)
        let executions = simulation.workers.values.flatMap(\.executions.values)
        #expect(executions.allSatisfy { $0 == 1 }, "seed \(seed)")
        #expect(executions.count == 60, "seed \(seed)")
        #expect(simulation.dispatcher.counters.resent == 0, "seed \(seed)")
    }

    @Test(arguments: 0..<6 as Range<UInt64>)
    func lossRepeatsAndDelayChangeNothing(seed: UInt64) throws {
        let weather = Weather(loss: 0.1, duplication: 0.1, delay: 400)
        let simulation = try run(seed: seed, weather, jobs: 60)
        #expect(simulation.dispatcher.counters.resent > 0, "seed \(seed)")
        #expect(simulation.dispatcher.counters.gaps > 0, "seed \(seed)")
    }

    @Test(arguments: 0..<6 as Range<UInt64>)
    func killsAndFreezesLoseNothing(seed: UInt64) throws {
        let weather = Weather(
            loss: 0.02, duplication: 0.05, delay: 30, killsPerSecond: 0.8, freezesPerSecond: 0.1)
        let simulation = try run(seed: seed, weather, jobs: 80)
        #expect(simulation.kills > 0, "seed \(seed)")
        #expect(simulation.dispatcher.counters.movedAfterRestart > 0, "seed \(seed)")
    }

    @Test(arguments: 0..<4 as Range<UInt64>)
    func cancelsAreAnsweredWhateverHappens(seed: UInt64) throws {
        let weather = Weather(
            loss: 0.1, duplication: 0.1, delay: 50, killsPerSecond: 0.3, freezesPerSecond: 0.05)
        let simulation = try run(seed: seed, weather, jobs: 100, cancelEvery: 3)
        let cancelled = simulation.received.values.filter {
            if case .error(let failure)? = $0.last { return failure.code == .cancelled }
            return false
        }
        #expect(cancelled.count > 5, "seed \(seed)")
    }

    /// Runs until every job has its end, and checks what each client was given.
    private func run(
        seed: UInt64, _ weather: Weather, jobs: Int, cancelEvery: Int = 0
    ) throws -> Simulation {
        var simulation = Simulation(seed: seed, workers: 3, weather: weather)
        var submitted = 0
        while submitted < jobs || simulation.dispatcher.waitingCount > 0
            || simulation.dispatcher.outCount > 0
        {
            try #require(simulation.now < 900_000, "seed \(seed): not done after 15 minutes")
            if submitted < jobs, Int.random(in: 0..<4, using: &simulation.random) == 0 {
                try simulation.submit(job("j\(submitted)", tokens: 1 + submitted % 16))
                submitted += 1
            }
            if cancelEvery > 0, submitted > 0,
                Int.random(in: 0..<20, using: &simulation.random) == 0
            {
                let number = Int.random(in: 0..<submitted, using: &simulation.random)
                if number.isMultiple(of: cancelEvery) { simulation.cancel("j\(number)") }
            }
            simulation.step()
        }
        for number in 0..<jobs {
            let events = simulation.received["j\(number)"] ?? []
            let mayBeCancelled = cancelEvery > 0 && number.isMultiple(of: cancelEvery)
            check(events, number, mayBeCancelled: mayBeCancelled, seed)
        }
        return simulation
    }

    private func check(
        _ events: [TokenEvent], _ number: Int, mayBeCancelled: Bool, _ seed: UInt64
    ) {
        let id = "j\(number)"
        #expect(events.count(where: \.isTerminal) == 1, "seed \(seed), \(id): \(events)")
        let pieces = events.compactMap { event -> TokenEvent.TokenPiece? in
            if case .token(let piece) = event { return piece }
            return nil
        }
        let expected = (0..<pieces.count).map { ScriptedBackend.piece(of: id, at: $0) }
        #expect(pieces == expected, "seed \(seed), \(id)")
        switch events.last {
        case .end(let end):
            #expect(end.tokensOut == pieces.count, "seed \(seed), \(id)")
            #expect(pieces.count == 1 + number % 16, "seed \(seed), \(id)")
            guard case .started? = events.first else {
                Issue.record("seed \(seed), \(id) ended without a start")
                return
            }
        case .error(let failure):
            #expect(mayBeCancelled && failure.code == .cancelled, "seed \(seed), \(id): \(failure)")
        default:
            Issue.record("seed \(seed), \(id) has no end: \(events)")
        }
    }
}
