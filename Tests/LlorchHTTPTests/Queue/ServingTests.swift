// Which workers serve, by heartbeats that a dispatcher took: freshness to the millisecond, in a time of their own.
// SPDX-License-Identifier: Apache-2.0

import LlorchHTTP
import LlorchProtocol
import LlorchQueue
import Synchronization
import Testing

@Suite struct ServingTests {
    private let time = Clock()

    private final class Clock: Sendable {
        private let time = Mutex(Duration.zero)
        var now: Duration { time.withLock { $0 } }
        func set(_ milliseconds: Int64) { time.withLock { $0 = .milliseconds(milliseconds) } }
    }

    private func heartbeat(
        _ state: WorkerStatus.State, of worker: String = "w", boot: UInt64 = 1,
        sequence: UInt64 = 0
    ) -> WorkerEvent {
        let status = WorkerStatus(state: state, jobs: "ipc:///j", control: "ipc:///c")
        return WorkerEvent(
            worker: worker, boot: boot, sequence: sequence, body: .heartbeat(status))
    }

    /// What is published of a dispatcher that heard these events at these milliseconds.
    private func snapshot(
        _ events: [(WorkerEvent, at: Int64)], now: Int64
    ) -> Serving.Snapshot {
        let time = time
        let serving = Serving(clock: { time.now })
        var dispatcher = Dispatcher()
        for (event, at) in events { _ = dispatcher.receive(event, now: .milliseconds(at)) }
        _ = dispatcher.tick(now: .milliseconds(now))
        serving.publish(
            dispatcher.workers.compactMap { Serving.Worker($0, now: .milliseconds(now)) })
        time.set(now)
        return serving.snapshot()
    }

    @Test func theLastWordIsGoodForThreeSeconds() {
        let idle = (heartbeat(.idle), at: Int64(1_000))
        #expect(snapshot([idle], now: 4_000).state == .idle)
        #expect(snapshot([idle], now: 4_000).isServed)
        #expect(snapshot([idle], now: 4_001).state == .lost)
        #expect(!snapshot([idle], now: 4_001).isServed)
        #expect(snapshot([idle], now: 61_000).state == .lost)
        #expect(snapshot([idle], now: 61_001).state == .noWorker)
        #expect(snapshot([], now: 0).state == .noWorker)
    }

    /// Other events are no heartbeats.
    @Test func onlyHeartbeatsAreCounted() throws {
        let job = WorkerEvent(
            worker: "w", boot: 1, sequence: 1,
            body: .refusal(JobFailure(.malformed, "no message")))
        let seen = snapshot([(heartbeat(.idle), at: 0), (job, at: 3_000)], now: 3_001)
        #expect(seen.state == .lost)
        #expect(seen.age(of: try #require(seen.workers.first)) == .milliseconds(3_001))
    }

    @Test(arguments: [
        (WorkerStatus.State.idle, Serving.State.idle, true), (.busy, .busy, true),
        (.stalled, .stalled, false), (.loading, .loading, false), (.draining, .draining, false),
    ])
    func aWorkerThatIsReadyServes(
        said: WorkerStatus.State, state: Serving.State, isServed: Bool
    ) {
        let seen = snapshot([(heartbeat(said), at: 0)], now: 0)
        #expect(seen.state == state)
        #expect(seen.isServed == isServed)
        #expect(seen.serving.isEmpty == !isServed)
    }

    @Test func theBestOfSeveralIsTheWordForAll() {
        let all = [
            (heartbeat(.draining, of: "a"), at: Int64(0)), (heartbeat(.stalled, of: "b"), at: 0),
            (heartbeat(.busy, of: "c"), at: 0), (heartbeat(.idle, of: "d"), at: -3_001),
        ]
        #expect(snapshot(all, now: 0).state == .busy)
        #expect(snapshot(all, now: 0).workers.map(\.name) == ["a", "b", "c", "d"])
        #expect(snapshot(Array(all.prefix(2)), now: 0).state == .stalled)
    }

    @Test func olderProcessesAreNotHeard() {
        let old = (heartbeat(.loading, boot: 1), at: Int64(0))
        let idle = (heartbeat(.idle, boot: 2), at: Int64(0))
        #expect(snapshot([idle, old], now: 0).state == .idle)
        let next = (heartbeat(.loading, boot: 3), at: Int64(0))
        #expect(snapshot([idle, next], now: 0).state == .loading)
        #expect(snapshot([idle, next, idle], now: 0).state == .loading)
        #expect(snapshot([idle, next], now: 0).workers.map(\.boot) == [3])
    }

    @Test func aWorkerThatSaidByeIsNotListed() {
        let bye = WorkerEvent(worker: "w", boot: 1, sequence: 1, body: .bye(reason: "drained"))
        let seen = [(heartbeat(.idle), at: Int64(0)), (bye, at: 1)]
        #expect(snapshot(seen, now: 1).state == .noWorker)
        let again = (heartbeat(.idle, boot: 2, sequence: 0), at: Int64(2))
        #expect(snapshot(seen + [again], now: 2).state == .idle)
    }
}
