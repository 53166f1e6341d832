// What the dispatcher promises, under all that can go wrong: one end a job, the oracle's tokens without hole or
// repeat, no needless run.
// A seed that fails is printed; LLORCH_QUEUE_SEED=n runs it alone.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import LlorchProtocol
import LlorchQueue
import TestSupport
import Testing

@Suite struct DispatcherPropertyTests {
    /// Seeds of each weather, or the one named in the environment.
    static let seeds: [UInt64] = {
        if let named = getenv("LLORCH_QUEUE_SEED"), let seed = UInt64(String(cString: named)) {
            return [seed]
        }
        return Array(0..<12)
    }()

    private static let jobs = 500

    @Test(arguments: seeds)
    func fairWeatherRunsEachJobOnce(seed: UInt64) {
        let simulation = run(seed, Weather(delay: .milliseconds(3)))
        #expect(simulation.clients.values.allSatisfy { $0.executions == 1 }, "seed \(seed)")
        #expect(simulation.dispatcher.counters.resent == 0, "seed \(seed)")
    }

    /// Where no worker dies, lost messages cost replays, never a second run.
    @Test(arguments: seeds)
    func lossRepeatsAndDelayRunNothingTwice(seed: UInt64) {
        let weather = Weather(
            loss: 0.05, duplication: 0.05, delay: .milliseconds(400), cancels: 0.1, returns: 0.7)
        let simulation = run(seed, weather)
        let repeated = simulation.clients.values.filter { $0.executions > 1 + $0.returns }.map(\.id)
        #expect(simulation.clients.values.contains { $0.returns > 0 }, "seed \(seed)")
        #expect(repeated.isEmpty, "seed \(seed)")
        #expect(simulation.dispatcher.counters.resent > 0, "seed \(seed)")
        #expect(simulation.dispatcher.counters.gaps > 0, "seed \(seed)")
    }

    @Test(arguments: seeds)
    func deathsFreezesAndGhostsLoseNothing(seed: UInt64) {
        let weather = Weather(
            loss: 0.01, duplication: 0.02, delay: .milliseconds(200), deathPerEvent: 0.004,
            freezesPerSecond: 0.05, drainsPerSecond: 0.02, cutsPerSecond: 0.1)
        let simulation = run(seed, weather)
        let counters = simulation.dispatcher.counters
        #expect(counters.movedAfterRestart > 0, "seed \(seed)")
        #expect(counters.resumed > 0, "seed \(seed)")
        #expect(counters.fenced > 0, "seed \(seed)")
    }

    /// Workers that were taken for dead come back in the middle of the next attempt, with another model's words.
    @Test(arguments: seeds)
    func ghostsOfFrozenWorkersAreNotHeard(seed: UInt64) {
        let simulation = run(seed, Weather(delay: .milliseconds(300), freezesPerSecond: 0.4))
        #expect(simulation.dispatcher.counters.movedAfterSilence > 0, "seed \(seed)")
        #expect(simulation.dispatcher.counters.fenced > 0, "seed \(seed)")
    }

    @Test(arguments: seeds)
    func everythingAtOnce(seed: UInt64) {
        let weather = Weather(
            loss: 0.03, duplication: 0.03, delay: .milliseconds(300), deathPerEvent: 0.003,
            freezesPerSecond: 0.05, drainsPerSecond: 0.02, cutsPerSecond: 0.1,
            cancels: 0.1, returns: 0.5, deadlines: 0.1, poison: 0.01)
        let simulation = run(seed, weather)
        let poisonous = simulation.clients.values.filter { $0.poisonAt != nil }
        #expect(!poisonous.isEmpty, "seed \(seed)")
        for client in poisonous where !client.isCancelled && client.deadlineAt == nil {
            guard case .error(let failure)? = client.outcome else { continue }
            #expect(failure.code == .poison, "seed \(seed), \(client.id)")
        }
    }

    /// Where no news is lost, a job that kills its worker is sent to two workers and not to a third.
    @Test(arguments: seeds)
    func poisonKillsTwiceAndNeighboursAreNotBlamed(seed: UInt64) {
        let weather = Weather(delay: .milliseconds(250), poison: 0.05, areNotesKept: true)
        let simulation = run(seed, weather)
        for client in simulation.clients.values {
            #expect(client.kills == (client.poisonAt == nil ? 0 : 2), "seed \(seed), \(client.id)")
            guard client.poisonAt == nil, case .error(let failure)? = client.outcome else {
                continue
            }
            Issue.record("seed \(seed), \(client.id): \(failure)")
        }
    }

    /// Runs until all is quiet, and checks what holds in any weather.
    private func run(_ seed: UInt64, _ weather: Weather) -> Simulation {
        var simulation = Simulation(seed: seed, weather: weather, jobs: Self.jobs)
        simulation.run()
        #expect(simulation.violations.isEmpty, "seed \(seed): \(simulation.violations.prefix(3))")
        let clients = simulation.clients.values
        #expect(clients.count == Self.jobs, "seed \(seed)")
        let open = clients.filter { !$0.isEnded }.map(\.id)
        #expect(open.isEmpty, "seed \(seed)")
        // Each attempt is run once, and once more for each process that ended with it.
        let wasteful = clients.filter {
            $0.executions > max(1, $0.attempts) + $0.deaths + $0.exits
        }.map(\.id)
        #expect(wasteful.isEmpty, "seed \(seed)")
        let counters = simulation.dispatcher.counters
        let moves =
            counters.movedAfterRestart + counters.movedAfterSilence + counters.movedAfterRefusal
            + counters.movedAfterBye + counters.relabelled + clients.reduce(0) { $0 + $1.returns }
        let further = clients.reduce(0) { $0 + max(0, $1.attempts - 1) }
        #expect(further <= moves, "seed \(seed)")
        #expect(simulation.dispatcher.outCount == 0, "seed \(seed)")
        #expect(simulation.dispatcher.waitingCount == 0, "seed \(seed)")
        for worker in simulation.workers.values {
            _ = worker.table.expire(now: simulation.now + .seconds(16 * 60))
            #expect(worker.table.queuedCount == 0 && worker.table.running == nil, "seed \(seed)")
            #expect(worker.table.unacknowledged == 0, "seed \(seed)")
        }
        return simulation
    }
}
