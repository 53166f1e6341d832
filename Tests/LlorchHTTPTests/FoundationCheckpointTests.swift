// Checkpoint 00, the half that HTTP sees: the real shim, the real worker's loop, and a backend that follows a
// script. The half that the queue sees: CheckpointTests/Checkpoint00FoundationTests.swift.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import LlorchHTTP
import LlorchProtocol
import LlorchQueue
import LlorchSystem
import LlorchWorker
import Logging
import Synchronization
import TestSupport
import Testing

/// A job goes in over HTTP, the event grammar comes out as server-sent events, and /health answers.
///
/// Exact. Usual mistakes: events that come only when all is done, `i` that counts tokens of another
/// attempt, a health check that waits for the engine, a second job that runs beside the first.
@Suite("Checkpoint 00: foundation, over HTTP", .timeLimit(.minutes(1)))
struct FoundationCheckpointTests {
    @Test func aJobGoesInAndTheGrammarComesOut() async throws {
        try await withWorker { harness in
            let events = try await harness.execute(Harness.job("hello"))
            #expect(events.map(\.name).first == "started")
            #expect(events.map(\.name).last == "end")
            #expect(events.dropFirst().dropLast().allSatisfy { $0.name == "token" })
            let pieces = events.filter { $0.name == "token" }
            #expect(pieces.count == 8)
            for (index, piece) in pieces.enumerated() {
                #expect(piece.text == ScriptedBackend.piece(of: "hello", at: index).text)
                #expect(piece.count("i") == index)
            }
        }
    }

    @Test func healthNamesTheWorkerAndASecondJobWaits() async throws {
        let gate = Gate()
        let began = Mutex<[String]>([])
        let compute: @Sendable (GenerationJob) -> Void = { job in
            let isFirst = began.withLock { ids in
                if ids.last != job.id { ids.append(job.id) }
                return ids.count == 1
            }
            if isFirst { gate.pass() }
        }
        try await withWorker(compute: compute) { harness in
            async let first = harness.execute(Harness.job("first"))
            try await eventually { began.withLock { $0 } == ["first"] }
            try await StreamingClient.post(
                "/execute", Harness.job("second"), port: harness.port
            ) { second in
                // The comment says that it was taken and waits.
                try await second.comment()
                // The engine is stuck in a step, and the answer comes all the same.
                let health = try await PlainClient(port: harness.port).execute(
                    uri: "/health", method: .get)
                #expect(health.status.code == 200)
                #expect(began.withLock { $0 } == ["first"])
                gate.open()
                #expect(try await second.rest().last?.name == "end")
            }
            #expect(try await first.last?.name == "end")
            #expect(began.withLock { $0 } == ["first", "second"])
        }
    }

    /// The negative twin: a backend that breaks the grammar ends in an error, and the shim goes on.
    @Test func aBackendThatStopsWithoutAnEndIsAnError() async throws {
        try await withWorker(ending: .silence) { harness in
            let events = try await harness.execute(Harness.job("silent"))
            #expect(events.map(\.name).first == "started")
            #expect(events.map(\.name).last == "error")
        }
    }

    /// A shim with one worker's loop on a thread of its own behind it.
    private func withWorker(
        ending: ScriptedBackend.Ending = .maximumTokens,
        compute: @escaping @Sendable (GenerationJob) -> Void = { _ in },
        _ body: @Sendable (Harness) async throws -> Void
    ) async throws {
        let folder = try TemporaryDirectory()
        let path = folder.path
        let shutdown = try ShutdownSignal()
        try await Harness.run([]) { harness in
            let options = try WorkerOptions(
                name: "checkpoint",
                jobs: QueueEndpoint(parsing: "ipc://\(path)/jobs", default: .bind),
                control: QueueEndpoint(parsing: "ipc://\(path)/control", default: .bind),
                events: QueueEndpoint(parsing: harness.events, default: .connect))
            let ended = AsyncStream<String?>.makeStream()
            DetachedThread {
                let logger = Logger(label: "checkpoint") { _ in SwiftLogNoOpLogHandler() }
                do {
                    try WorkerLoop.run(options, shutdown: shutdown, logger: logger) { _ in
                        ScriptedBackend(compute: compute) { _ in
                            var script = ScriptedBackend.Script()
                            script.ending = ending
                            return script
                        }
                    }
                    ended.continuation.yield(nil)
                } catch {
                    ended.continuation.yield("\(error)")
                }
            }.start()
            try await eventually { harness.shim.queue.serving.snapshot().workers.count == 1 }
            try await body(harness)
            shutdown.request()
            let failure = await ended.stream.first { _ in true }
            #expect(failure == .some(nil), "the worker's loop ended with \(failure ?? nil ?? "")")
        }
        _ = consume folder
    }
}
