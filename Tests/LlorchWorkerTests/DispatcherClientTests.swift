// Dispatcher and workers together on real sockets, as the HTTP shim uses them.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchQueue
import LlorchSystem
import LlorchWorker
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct DispatcherClientTests {
    @Test func jobsOfManyClientsRunOnTwoWorkersOnce() throws {
        let fleet = try Fleet()
        try fleet.addWorker("w1")
        try fleet.addWorker("w2")
        let ids = (0..<100).map { "j\($0)" }
        for id in ids { try fleet.client.submit(job(id, tokens: 5)) }
        try fleet.pump { ids.allSatisfy { fleet.isEnded($0) } }
        for id in ids {
            let events = fleet.events[id] ?? []
            let pieces = (0..<5).map { TokenEvent.token(ScriptedBackend.piece(of: id, at: $0)) }
            #expect(Array(events.dropFirst().dropLast()) == pieces)
            #expect(events.count(where: \.isTerminal) == 1)
        }
        #expect(fleet.accepted == Set(ids))
        #expect(Set(fleet.client.dispatcher.workers.map(\.name)) == ["w1", "w2"])
        #expect(fleet.client.dispatcher.counters.gaps == 0)
    }

    @Test func aJobWithoutASeedIsGivenOneForAllAttempts() throws {
        let fleet = try Fleet()
        try fleet.addWorker("w1")
        try fleet.client.submit(GenerationJob(id: "a", prompt: "Hello", maximumTokens: 1))
        try fleet.pump { fleet.isEnded("a") }
        #expect(fleet.events["a"]?.last?.failure == nil)
    }

    @Test func cancelReachesQueuedAndRunningJobs() throws {
        let fleet = try Fleet()
        try fleet.addWorker("w1") { _ in .endless }
        try fleet.client.submit(job("running"))
        try fleet.pump { fleet.events["running"] != nil }
        try fleet.client.submit(job("waiting"))
        fleet.client.cancel("waiting")
        fleet.client.cancel("running")
        try fleet.pump { fleet.isEnded("running") && fleet.isEnded("waiting") }
        #expect(fleet.events["running"]?.last?.failure == .cancelled)
        #expect(fleet.events["waiting"] == [.error(Dispatcher.cancelled)])
    }

    @Test func aWorkerThatLeavesHandsItsJobToTheNext() throws {
        let fleet = try Fleet()
        let leaving = try fleet.addWorker("w1") { _ in .endless }
        try fleet.client.submit(job("a"))
        try fleet.pump { fleet.events["a"] != nil }
        leaving.request()
        leaving.request()
        try fleet.addWorker("w2")
        try fleet.pump { fleet.isEnded("a") }
        let events = fleet.events["a"] ?? []
        #expect(events.last?.failure == nil)
        #expect(events.count == 6, "one start, four tokens, one end")
        let counters = fleet.client.dispatcher.counters
        #expect(counters.movedAfterRefusal + counters.movedAfterBye > 0)
    }

    @Test func aWakeUpEndsThePollOfAnotherThread() throws {
        let fleet = try Fleet()
        let wakeUp = fleet.client.wakeUp
        DetachedThread { wakeUp.signal() }.start()
        #expect(try fleet.client.poll(atMost: .seconds(100)).isEmpty)
    }
}

/// A dispatcher, the workers it hears, and what its clients were given.
private final class Fleet {
    let client: DispatcherClient
    private(set) var events: [String: [TokenEvent]] = [:]
    private(set) var accepted: Set<String> = []
    private var workers: [(shutdown: ShutdownSignal, ended: WakeUp)] = []

    init() throws {
        client = try DispatcherClient(
            events: QueueEndpoint(parsing: "tcp://127.0.0.1:*", default: .bind),
            context: ZMQContext())
    }

    @discardableResult
    func addWorker(
        _ name: String,
        script: @escaping @Sendable (GenerationJob) -> ScriptedBackend.Script = { _ in .init() }
    ) throws -> ShutdownSignal {
        let local = try QueueEndpoint(parsing: "tcp://127.0.0.1:*", default: .bind)
        let options = WorkerOptions(
            name: name, jobs: local, control: local,
            events: try QueueEndpoint(parsing: client.eventsAddress, default: .connect))
        let shutdown = try ShutdownSignal()
        let ended = try WakeUp()
        DetachedThread {
            try? WorkerLoop.run(options, shutdown: shutdown, logger: silent) { _ in
                ScriptedBackend(script: script)
            }
            ended.signal()
        }.start()
        workers.append((shutdown, ended))
        return shutdown
    }

    deinit {
        for worker in workers {
            worker.shutdown.request()
            worker.shutdown.request()
        }
        for worker in workers {
            var poller = ZMQPoller()
            poller.add(descriptor: worker.ended.descriptor)
            try? poller.wait(atMost: .seconds(10))
        }
    }

    func isEnded(_ id: String) -> Bool { events[id]?.last?.isTerminal ?? false }

    func pump(until isDone: () -> Bool) throws {
        while !isDone() {
            for delivery in try client.poll(atMost: .seconds(1)) {
                switch delivery {
                case .accepted(let id): accepted.insert(id)
                case .event(let event, let id): events[id, default: []].append(event)
                case .status, .left: break
                }
            }
        }
    }
}
