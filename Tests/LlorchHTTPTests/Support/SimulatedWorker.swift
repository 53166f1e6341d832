// A worker that computes nothing: real sockets, scripted answers, and a diary of what it was sent.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchQueue
import LlorchSystem
import NIOPosix
import Synchronization
import Testing

/// How one job goes.
struct Script: Sendable {
    enum Ending: Sendable {
        case end
        case fail(JobFailure)
        /// Nothing more until `release` or a cancel.
        case hold
    }

    var pieces: [String] = ["Hel", "lo", " wörld"]
    var ending = Ending.end
    /// False: a failure is the only event, as of a job that cannot begin.
    var starts = true
    /// Of the tokens of each piece; a piece without them has one token.
    var logProbabilities: [[TokenLogProbability]] = []
    var endMark: TokenLogProbability?
    var stopReason = StopReason.maximumTokens

    fileprivate var tokenCount: Int {
        pieces.indices.reduce(0) { sum, place in
            let entries = logProbabilities.indices.contains(place) ? logProbabilities[place] : []
            return sum + max(1, entries.count)
        }
    }

    static func refusing(_ failure: JobFailure) -> Script {
        Script(pieces: [], ending: .fail(failure), starts: false)
    }

    static let holding = Script(pieces: ["Once"], ending: .hold)
}

final class SimulatedWorker: Sendable {
    enum Entry: Sendable, Hashable {
        case job(String, resumed: Int)
        case cancel(String)
    }

    private enum Order: Sendable {
        case release(String)
        case say(WorkerStatus.State)
        case leave
        case die
    }

    private struct State {
        var diary: [(Entry, ContinuousClock.Instant)] = []
        var jobs: [GenerationJob] = []
        var orders: [Order] = []
        var most = 0
    }

    let name: String
    private let script: @Sendable (GenerationJob) -> Script
    private let events: String
    private let jobs: String
    private let control: String
    private let wakeUp: WakeUp
    private let state = Mutex(State())

    /// Its addresses are `base`, an `ipc://…`, and its name.
    init(
        _ name: String, events: String, base: String,
        script: @escaping @Sendable (GenerationJob) -> Script
    ) throws {
        self.name = name
        self.events = events
        self.script = script
        jobs = "\(base)-\(name)-jobs"
        control = "\(base)-\(name)-control"
        wakeUp = try WakeUp()
    }

    var diary: [(Entry, ContinuousClock.Instant)] { state.withLock { $0.diary } }
    var received: [Entry] { diary.map(\.0) }
    var receivedJobs: [GenerationJob] { state.withLock { $0.jobs } }
    /// Most jobs it had at one time.
    var mostAtOnce: Int { state.withLock { $0.most } }

    func release(_ jobID: String) { order(.release(jobID)) }
    func say(_ status: WorkerStatus.State) { order(.say(status)) }
    func leave() { order(.leave) }
    /// As by kill -9: no word, sockets gone.
    func die() { order(.die) }

    private func order(_ order: Order) {
        state.withLock { $0.orders.append(order) }
        wakeUp.signal()
    }

    /// Works until it leaves or dies.
    func run() async throws {
        let pool = NIOThreadPool(numberOfThreads: 1)
        pool.start()
        try await pool.runIfActive { [self] in try work() }
        try await pool.shutdownGracefully()
    }

    private func work() throws {
        let context = try ZMQContext()
        let endpoint = { (text: String) in try QueueEndpoint(parsing: text, default: .connect) }
        var jobsIn = try QueueSocket.workerJobs.open(endpoint("bind:" + jobs), in: context)
        var controlIn = try QueueSocket.workerControl.open(endpoint("bind:" + control), in: context)
        let out = try QueueSocket.workerEvents.open(endpoint(events), in: context)
        var desk = Desk(name: name, jobs: jobs, control: control)
        while true {
            var poller = ZMQPoller()
            poller.add(jobsIn, .readable)
            poller.add(controlIn, .readable)
            poller.add(descriptor: wakeUp.descriptor)
            try poller.wait(atMost: .milliseconds(desk.outbox.isEmpty ? 20 : 1))
            _ = wakeUp.take()
            while let message = try jobsIn.receive() {
                note(try DispatcherMessage(parsing: message.bytes), &desk)
            }
            while let message = try controlIn.receive() {
                note(try DispatcherMessage(parsing: message.bytes), &desk)
            }
            var isLeaving = false
            let orders = state.withLock { state in
                defer { state.orders = [] }
                return state.orders
            }
            for order in orders {
                switch order {
                case .release(let jobID): desk.finish(jobID)
                case .say(let status): desk.status = status
                case .leave:
                    desk.say(.bye(reason: "asked to"))
                    isLeaving = true
                case .die: return
                }
            }
            desk.beat()
            try desk.flush(to: out)
            if isLeaving {
                while !desk.outbox.isEmpty { try desk.flush(to: out) }
                try out.set(.linger(.seconds(1)))
                return
            }
        }
    }

    private func note(_ message: DispatcherMessage, _ desk: inout Desk) {
        let now = ContinuousClock.now
        switch message {
        case .job(let job, let attempt):
            desk.take(job, attempt, script(job))
            state.withLock { state in
                state.diary.append((.job(job.id, resumed: job.resumeIDs.count), now))
                state.jobs.append(job)
                state.most = max(state.most, desk.held.count)
            }
        case .cancel(let reference):
            desk.cancel(reference)
            state.withLock { $0.diary.append((.cancel(reference.jobID), now)) }
        case .acknowledge, .drain, .ping: break
        }
    }
}

/// The worker's thread's own.
private struct Desk {
    let name: String
    let jobs: String
    let control: String
    let boot = UInt64.random(in: 1...1_000_000)
    var status = WorkerStatus.State.idle
    var outbox: [[UInt8]] = []
    var held: [String: (JobReference, GenerationJob, Script)] = [:]
    private var sequence: UInt64 = 0
    private var beatAt = ContinuousClock.now

    init(name: String, jobs: String, control: String) {
        self.name = name
        self.jobs = jobs
        self.control = control
    }

    static let model = ModelFacts(
        name: "scripted", digest: "5c41", precision: "f32", contextLength: 1_024,
        vocabularySize: 50_257, memoryBytes: 1_000, tokenizerKind: "gguf-bpe")

    mutating func say(_ body: WorkerEvent.Body) {
        let event = WorkerEvent(worker: name, boot: boot, sequence: sequence, body: body)
        sequence += 1
        outbox.append(event.serialized())
    }

    mutating func flush(to out: borrowing ZMQSocket) throws {
        while let first = outbox.first, try out.send(first) { outbox.removeFirst() }
    }

    mutating func beat() {
        guard beatAt <= .now else { return }
        beatAt = .now + .milliseconds(100)
        let state = status == .idle && !held.isEmpty ? .busy : status
        say(
            .heartbeat(
                WorkerStatus(
                    state: state, jobs: jobs, control: control, running: held.keys.first,
                    free: 10, model: state == .loading ? nil : Self.model,
                    loadProgress: state == .loading ? 0.5 : nil)))
    }

    mutating func take(_ job: GenerationJob, _ attempt: UInt32, _ script: Script) {
        let reference = JobReference(jobID: job.id, attempt: attempt)
        say(.accepted(reference, .init(state: .running, position: 0, free: 10)))
        guard held[job.id] == nil else { return }
        held[job.id] = (reference, job, script)
        if script.starts {
            let started = TokenEvent.Started(
                model: "scripted", startedAt: "2026-01-01T00:00:00Z", seed: job.seed ?? 0,
                promptTokens: 1, queuedMilliseconds: 0)
            say(.job(reference, .started(started)))
        }
        var index = 0
        for (place, text) in script.pieces.enumerated() {
            let entries =
                script.logProbabilities.indices.contains(place)
                ? script.logProbabilities[place] : []
            let ids = entries.isEmpty ? [UInt32(place)] : entries.map(\.id)
            let piece = TokenEvent.TokenPiece(
                text: text, ids: ids, index: index, logProbabilities: entries)
            if index >= job.resumeIDs.count { say(.job(reference, .token(piece))) }
            index += ids.count
        }
        switch script.ending {
        case .hold: break
        case .end: finish(job.id)
        case .fail(let failure):
            held[job.id] = nil
            say(.job(reference, .error(failure)))
        }
    }

    mutating func finish(_ jobID: String) {
        guard let (reference, _, script) = held.removeValue(forKey: jobID) else { return }
        let end = TokenEvent.End(
            tokensOut: script.tokenCount, decodeTimeMilliseconds: 1,
            stopReason: script.stopReason, promptTokens: 1, prefillMilliseconds: 1,
            endMark: script.endMark)
        say(.job(reference, .end(end)))
    }

    mutating func cancel(_ reference: JobReference) {
        held[reference.jobID] = nil
        say(.job(reference, .error(JobFailure(.cancelled, "cancelled by the client"))))
    }
}
