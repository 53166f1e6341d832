// Checkpoint 00 of 00 to 12: a worker without a model. Its loop and its sockets are the real ones;
// only the backend follows a script. What the other checkpoints judge begins behind that backend.
// SPDX-License-Identifier: Apache-2.0

import Foundation
import LlorchProtocol
import LlorchQueue
import LlorchSystem
import LlorchWorker
import Logging
import Synchronization
import TestSupport
import Testing

/// A job goes in, the event grammar comes out: `started (token | metrics)* (end | error)`.
///
/// Exact: every piece, in its place, and nothing after the terminal event. Jobs run one after
/// another, and a worker whose backend misbehaves stays up and serves the next job.
///
/// Usual mistakes: a token before `started`, something after `end`, two jobs at once, a job that
/// ends without a terminal event, a worker that goes down with one job.
@Suite("Checkpoint 00: foundation", .timeLimit(.minutes(1)))
struct Checkpoint00FoundationTests {
    @Test func aJobGoesInAndTheGrammarComesOut() throws {
        let worker = try ScriptedWorker()
        let events = try worker.run(["hello": 5])["hello"] ?? []
        #expect(EventGrammar.accepts(events))
        guard case .started(let started) = events.first else {
            Issue.record("no started: \(events)")
            return
        }
        #expect(started.model == "scripted")
        #expect(started.seed == 42)
        let pieces = events.compactMap { if case .token(let piece) = $0 { piece } else { nil } }
        #expect(pieces == (0..<5).map { ScriptedBackend.piece(of: "hello", at: $0) })
        guard case .end(let end) = events.last else {
            Issue.record("no end: \(events)")
            return
        }
        #expect(end.tokensOut == 5)
        #expect(end.stopReason == .maximumTokens)
        #expect(end.stopSequenceMatched == nil)
        try worker.leave()
    }

    @Test func jobsRunOneAfterAnother() throws {
        let worker = try ScriptedWorker()
        let jobs = Dictionary(uniqueKeysWithValues: (0..<40).map { ("job-\($0)", 3) })
        var running: String?
        var ended: Set<String> = []
        let events = try worker.run(jobs) { event, id in
            #expect(!ended.contains(id), "\(event) after the end of \(id)")
            if case .started = event {
                #expect(running == nil, "\(id) started while \(running ?? "") was running")
                running = id
            }
            #expect(running == id)
            if event.isTerminal {
                ended.insert(id)
                running = nil
            }
        }
        #expect(ended.count == jobs.count)
        for (id, answer) in events {
            #expect(EventGrammar.accepts(answer), "\(id): \(answer)")
            #expect(answer.count == 5, "\(id): \(answer)")
        }
        try worker.leave()
    }

    /// The negative twins: whatever the backend does, the client sees the grammar.
    @Test(arguments: [
        ScriptedBackend.Ending.tokenFirst, .silence,
        .fail(JobFailure(.inferenceFailed, "broken on purpose"), afterTokens: 2),
        .refuse(JobFailure(.invalidRequest, "refused on purpose")),
    ])
    func aMisbehavingBackendIsContained(ending: ScriptedBackend.Ending) throws {
        let worker = try ScriptedWorker { job in
            var script = ScriptedBackend.Script()
            if job.id.hasPrefix("bad") { script.ending = ending }
            return script
        }
        let bad = try worker.run(["bad": 4])["bad"] ?? []
        #expect(EventGrammar.accepts(bad), "\(bad)")
        guard case .error(let failure) = bad.last else {
            Issue.record("a misbehaving backend ended well: \(bad)")
            return
        }
        print("\(ending): \(bad.count) events, then \(failure.code.rawValue)")
        let good = try worker.run(["good": 4])["good"] ?? []
        #expect(EventGrammar.accepts(good))
        if case .end = good.last {} else { Issue.record("the next job did not end well: \(good)") }
        try worker.leave()
    }

    /// The check itself can fail.
    @Test func theGrammarRejectsWhatItShould() {
        let started = TokenEvent.started(
            .init(model: "m", startedAt: "", seed: 1, promptTokens: 1, queuedMilliseconds: 0))
        let token = TokenEvent.token(ScriptedBackend.piece(of: "j", at: 0))
        let end = TokenEvent.end(
            .init(
                tokensOut: 1, decodeTimeMilliseconds: 0, stopReason: .maximumTokens,
                promptTokens: 1, prefillMilliseconds: 0))
        let error = TokenEvent.error(JobFailure(.internal, "x"))
        #expect(EventGrammar.accepts([started, end]))
        #expect(EventGrammar.accepts([started, token, token, error]))
        #expect(EventGrammar.accepts([error]))
        for wrong in [
            [], [started], [token, end], [end], [started, token], [started, started, end],
            [started, end, end], [started, end, token], [started, error, end], [error, error],
        ] {
            #expect(!EventGrammar.accepts(wrong), "\(wrong)")
        }
    }
}

/// `started (token | metrics)* (end | error)`, or a lone `error`.
private enum EventGrammar {
    static func accepts(_ events: [TokenEvent]) -> Bool {
        guard let last = events.last else { return false }
        if events.count == 1, case .error = last { return true }
        guard case .started = events[0], events.count > 1, last.isTerminal else { return false }
        return events.dropFirst().dropLast().allSatisfy { event in
            switch event {
            case .token, .metrics: true
            case .started, .end, .error: false
            }
        }
    }
}

/// One worker in a thread of its own and the dispatcher that feeds it.
///
/// They talk over ipc in a directory of their own. Every wait is bounded by the suite's time limit.
private final class ScriptedWorker {
    private let folder: TemporaryDirectory
    private let client: DispatcherClient
    private let shutdown: ShutdownSignal
    private let outcome = Outcome()

    /// How the worker's loop ended: nil error for a clean leave.
    private final class Outcome: Sendable {
        let error = Mutex<(any Error)?>(nil)
        let hasEnded = DispatchSemaphore(value: 0)
    }

    init(
        script: @escaping @Sendable (GenerationJob) -> ScriptedBackend.Script = { _ in
            ScriptedBackend.Script()
        }
    ) throws {
        let folder = try TemporaryDirectory()
        func endpoint(
            _ name: String, _ direction: QueueEndpoint.Direction
        ) throws -> QueueEndpoint {
            try QueueEndpoint(parsing: "ipc://\(folder.path)/\(name)", default: direction)
        }
        self.folder = folder
        client = try DispatcherClient(events: endpoint("events", .bind), context: ZMQContext())
        shutdown = try ShutdownSignal()
        let options = try WorkerOptions(
            name: "checkpoint", jobs: endpoint("jobs", .bind), control: endpoint("control", .bind),
            events: endpoint("events", .connect))
        Thread.detachNewThread { [shutdown, outcome] in
            do {
                let logger = Logger(label: "checkpoint") { _ in SwiftLogNoOpLogHandler() }
                try WorkerLoop.run(options, shutdown: shutdown, logger: logger) { _ in
                    ScriptedBackend(script: script)
                }
            } catch {
                outcome.error.withLock { $0 = error }
            }
            outcome.hasEnded.signal()
        }
    }

    /// Sends jobs, by id the tokens asked for, and collects their events until all have ended.
    func run(
        _ jobs: [String: Int], onEvent: (TokenEvent, String) -> Void = { _, _ in }
    ) throws -> [String: [TokenEvent]] {
        for (id, count) in jobs {
            try client.submit(
                GenerationJob(id: id, prompt: "Hello.", maximumTokens: count, seed: 42))
        }
        var events: [String: [TokenEvent]] = [:]
        var open = jobs.count
        while open > 0 {
            try #require(!Task.isCancelled, "out of time with \(open) jobs open: \(events)")
            for case .event(let event, let id) in try client.poll(atMost: .milliseconds(100)) {
                events[id, default: []].append(event)
                onEvent(event, id)
                if event.isTerminal { open -= 1 }
            }
        }
        return events
    }

    /// Asks the worker to leave and waits for its `bye` and the end of its loop.
    func leave() throws {
        shutdown.request()
        var hasLeft = false
        while !hasLeft {
            try #require(!Task.isCancelled, "out of time: the worker did not leave")
            for case .left in try client.poll(atMost: .milliseconds(100)) { hasLeft = true }
        }
        outcome.hasEnded.wait()
        let error = outcome.error.withLock { $0 }
        #expect(error == nil, "the worker's loop ended with \(error.map { "\($0)" } ?? "")")
    }
}
