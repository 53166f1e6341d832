// Streams over real connections, with simulated workers on real sockets: order, cancel, departure.
// SPDX-License-Identifier: Apache-2.0

import LlorchHTTP
import LlorchJSON
import LlorchProtocol
import LlorchQueue
import Testing

@Suite(.timeLimit(.minutes(2))) struct StreamTests {
    @Test func eventsArriveAsTheyAreProduced() async throws {
        try await Harness.run([{ _ in .holding }]) { harness in
            let body = Harness.job("a", #""prompt":"x","seed":18446744073709551615"#)
            let id = ["X-Correlation-ID: corr-1"]
            try await StreamingClient.post(
                "/execute", body, port: harness.port, headers: id
            ) { client in
                #expect(client.status == 200)
                #expect(client.headers["content-type"] == "text/event-stream")
                #expect(client.headers["cache-control"] == "no-cache")
                #expect(client.headers["x-correlation-id"] == "corr-1")
                let started = try await client.event()
                #expect(started?.name == "started")
                #expect(started?.json["job_id"]?.asString == "a")
                #expect(started?.json["seed"]?.asNumber?.asUInt64 == .max)
                #expect(try await client.event()?.text == "Once")
                // The worker has not ended the job: nothing was held back for that.
                harness.workers[0].release("a")
                #expect(try await client.event()?.name == "end")
                #expect(try await client.event() == nil)
            }
            let job = try #require(harness.workers[0].receivedJobs.first)
            #expect(job.correlationID == "corr-1")
            #expect(job.leaseMilliseconds == 15_000)
        }
    }

    @Test func missingSeedsAreFixedAndReported() async throws {
        try await Harness.run([{ _ in Script() }]) { harness in
            var seeds: Set<UInt64> = []
            for id in ["a", "b", "c"] {
                let events = try await harness.execute(Harness.job(id))
                #expect(grammarFault(events) == nil)
                #expect(events.compactMap(\.text).joined() == "Hello wörld")
                let seed = try #require(events.first?.json["seed"]?.asNumber?.asUInt64)
                let sent = harness.workers[0].receivedJobs.last?.seed
                #expect(sent == seed)
                seeds.insert(seed)
            }
            #expect(seeds.count == 3, "a seed was used twice")
        }
    }

    @Test func connectionsServeManyRequests() async throws {
        try await Harness.run([{ _ in Script() }]) { harness in
            try await StreamingClient.post(
                "/execute", Harness.job("0"), port: harness.port
            ) { client in
                #expect(grammarFault(try await client.rest()) == nil)
                for id in 1...3 {
                    try await client.post("/cancel", #"{"job_id":"\#(id)"}"#)
                    #expect(client.status == 202)
                    _ = try await client.plainBody()
                    try await client.post("/execute", Harness.job("\(id)"))
                    #expect(client.status == 200)
                    #expect(grammarFault(try await client.rest()) == nil)
                }
            }
            #expect(harness.workers[0].received.count == 4)
        }
    }

    // MARK: - Failures

    static let failures: [(JobFailure, Int, FieldError)] = [
        (
            JobFailure(.contextOverflow, "too long"), 400,
            FieldError(field: "prompt", constraint: "CONTEXT_OVERFLOW", message: "too long")
        ),
        (
            JobFailure(.jobIDConflict, "other content"), 409,
            FieldError(field: "job_id", constraint: "JOB_ID_CONFLICT", message: "other content")
        ),
        (
            JobFailure(.inferenceTimeout, "late"), 504,
            FieldError(field: "body", constraint: "INFERENCE_TIMEOUT", message: "late")
        ),
        (
            JobFailure(.inferenceFailed, "broken"), 500,
            FieldError(field: "body", constraint: "INFERENCE_FAILED", message: "broken")
        ),
        (
            JobFailure(
                .invalidRequest, "no",
                errors: [FieldError(field: "stop", constraint: "c", message: "no")]), 400,
            FieldError(field: "stop", constraint: "c", message: "no")
        ),
    ]

    @Test(arguments: failures) func failureBeforeTheStreamIsAStatus(
        failure: JobFailure, status: Int, error: FieldError
    ) async throws {
        try await Harness.run([{ _ in .refusing(failure) }]) { harness in
            try await StreamingClient.post(
                "/execute", Harness.job("a"), port: harness.port
            ) { client in
                #expect(client.status == status)
                let json = try StrictJSON.parse(
                    Array(try await client.plainBody().utf8), limits: .http)
                let found = json.asObject?["errors"]?.asArray?.first?.asObject
                #expect(found?["field"]?.asString == error.field)
                #expect(found?["constraint"]?.asString == error.constraint)
                #expect(found?["message"]?.asString == error.message)
                let hasCode = [.contextOverflow, .jobIDConflict].contains(failure.code)
                #expect(
                    json.asObject?["code"]?.asString == (hasCode ? failure.code.rawValue : nil))
                #expect(json.asObject?["retriable"]?.asBool == (hasCode ? false : nil))
            }
        }
    }

    /// JavaScript keeps numbers as doubles, and sends back what it was told.
    @Test func aDrawnSeedIsKeptByADouble() async throws {
        try await Harness.run([{ _ in Script(pieces: []) }]) { harness in
            for id in 1...8 {
                let events = try await harness.execute(Harness.job("\(id)"))
                let seed = try #require(events.first?.json["seed"]?.asNumber?.asUInt64)
                #expect(seed < 1 << 53)
            }
            let given = try await harness.execute(
                Harness.job("given", #""prompt":"x","seed":18446744073709551615"#))
            #expect(given.first?.json["seed"]?.asNumber?.asUInt64 == .max)
        }
    }

    @Test func failureInTheStreamIsAnEvent() async throws {
        let script = Script(ending: .fail(JobFailure(.inferenceFailed, "broken")))
        try await Harness.run([{ _ in script }]) { harness in
            let events = try await harness.execute(Harness.job("a"))
            #expect(events.map(\.name) == ["started", "token", "token", "token", "error"])
            #expect(events.last?.json["code"]?.asString == "INFERENCE_FAILED")
            let next = try await harness.execute(Harness.job("b"))
            #expect(next.last?.name == "error")
        }
    }

    @Test func activeIDsConflict() async throws {
        try await Harness.run([{ _ in .holding }]) { harness in
            try await StreamingClient.post(
                "/execute", Harness.job("a"), port: harness.port
            ) { client in
                try await StreamingClient.post(
                    "/execute", Harness.job("a"), port: harness.port
                ) { second in
                    #expect(second.status == 409)
                    let answer = try await second.plainBody()
                    #expect(answer.contains("JOB_ID_CONFLICT"))
                }
                harness.workers[0].release("a")
                #expect(grammarFault(try await client.rest()) == nil)
            }
            // Free again.
            harness.workers[0].release("a")
            try await StreamingClient.post(
                "/execute", Harness.job("a"), port: harness.port
            ) { client in #expect(client.status == 200) }
        }
    }

    @Test func fullBacklogIs503() async throws {
        try await Harness.run(
            [{ _ in .holding }], Harness.Settings(backlog: 1)
        ) { harness in
            try await StreamingClient.post(
                "/execute", Harness.job("a"), port: harness.port
            ) { first in
                _ = try await first.event()
                try await StreamingClient.post(
                    "/execute", Harness.job("b"), port: harness.port
                ) { second in
                    #expect(second.status == 200)
                    try await second.comment()
                    try await StreamingClient.post(
                        "/execute", Harness.job("c"), port: harness.port
                    ) { third in
                        #expect(third.status == 503)
                        #expect(third.headers["retry-after"] == "1")
                        let answer = try await third.plainBody()
                        #expect(answer.contains("QUEUE_FULL"))
                    }
                }
            }
        }
    }

    @Test func loadingAndLeavingWorkersTakeNoJobs() async throws {
        try await Harness.run([{ _ in Script() }]) { harness in
            for (said, state, code) in [
                (WorkerStatus.State.loading, Serving.State.loading, "WORKER_LOST"),
                (.draining, .draining, "DRAINING"),
            ] {
                harness.workers[0].say(said)
                try await eventually { harness.shim.queue.serving.snapshot().state == state }
                try await StreamingClient.post(
                    "/execute", Harness.job("a"), port: harness.port
                ) { client in
                    #expect(client.status == 503)
                    #expect(client.headers["retry-after"] == "1")
                    let answer = try await client.plainBody()
                    #expect(answer.contains(code))
                }
            }
            harness.workers[0].say(.idle)
            try await eventually { !harness.shim.queue.serving.snapshot().serving.isEmpty }
            #expect(grammarFault(try await harness.execute(Harness.job("a"))) == nil)
        }
    }

    // MARK: - Cancel and departure

    private func cancel(_ id: String, _ harness: Harness) async throws {
        try await StreamingClient.post(
            "/cancel", #"{"job_id":"\#(id)"}"#, port: harness.port
        ) { client in
            #expect(client.status == 202)
            let expected = #"{"status":"cancelling","job_id":"\#(id)"}"#
            let answer = try await client.plainBody()
            #expect(answer == expected)
        }
    }

    @Test func cancelEndsRunningAndWaitingJobs() async throws {
        try await Harness.run([{ _ in .holding }]) { harness in
            try await StreamingClient.post(
                "/execute", Harness.job("runs"), port: harness.port
            ) { running in
                _ = try await running.event()
                try await StreamingClient.post(
                    "/execute", Harness.job("waits"), port: harness.port
                ) { waiting in
                    try await waiting.comment()
                    try await cancel("waits", harness)
                    let events = try await waiting.rest()
                    #expect(events.map(\.name) == ["started", "error"])
                    #expect(events.last?.json["code"]?.asString == "CANCELLED")
                }
                for _ in 1...3 { try await cancel("runs", harness) }
                let events = try await running.rest()
                #expect(events.map(\.name) == ["token", "error"])
                #expect(events.last?.json["code"]?.asString == "CANCELLED")
                #expect(events.last?.json["retriable"]?.asBool == false)
            }
            try await cancel("runs", harness)
            #expect(!harness.workers[0].received.contains(.cancel("waits")))
            #expect(harness.workers[0].receivedJobs.map(\.id) == ["runs"])
        }
    }

    /// The connection's end is what tells: no comment is written that could fail, and no patience runs out.
    @Test func clientThatLeavesCancelsItsJob() async throws {
        var settings = Harness.Settings()
        settings.timing.ping = .seconds(3_600)
        settings.timing.stall = .seconds(3_600)
        try await Harness.run([{ _ in .holding }], settings) { harness in
            for id in ["a", "b", "c"] {
                try await StreamingClient.post(
                    "/execute", Harness.job(id), port: harness.port
                ) { client in
                    _ = try await client.event()
                    _ = try await client.event()
                }
                try await eventually { harness.workers[0].received.contains(.cancel(id)) }
            }
        }
    }

    @Test func clientThatLeavesWhileItsJobWaits() async throws {
        try await Harness.run([{ _ in .holding }]) { harness in
            try await StreamingClient.post(
                "/execute", Harness.job("first"), port: harness.port
            ) { first in
                _ = try await first.event()
                try await StreamingClient.post(
                    "/execute", Harness.job("gone"), port: harness.port
                ) { waiting in try await waiting.comment() }
                // The id is free once the job is forgotten.
                try await eventually {
                    try await StreamingClient.post(
                        "/execute", Harness.job("gone", #""prompt":"again""#), port: harness.port
                    ) { again in again.status == 200 }
                }
                harness.workers[0].release("first")
                _ = try await first.rest()
            }
            #expect(grammarFault(try await run("last", harness)) == nil)
            #expect(
                !harness.workers[0].receivedJobs.contains { $0.prompt == "Hi" && $0.id == "gone" })
        }
    }

    /// Executes a job that its worker holds.
    private func run(_ id: String, _ harness: Harness) async throws -> [ParsedEvent] {
        try await StreamingClient.post("/execute", Harness.job(id), port: harness.port) { client in
            var events = [try #require(await client.event()), try #require(await client.event())]
            for worker in harness.workers { worker.release(id) }
            events += try await client.rest()
            return events
        }
    }
}
