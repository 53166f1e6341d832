// Several workers behind one shim: who gets what, what is left when one dies, health, shutdown.
// SPDX-License-Identifier: Apache-2.0

import LlorchHTTP
import LlorchJSON
import LlorchProtocol
import LlorchQueue
import ServiceLifecycle
import Testing

@Suite(.timeLimit(.minutes(2))) struct WorkersTests {
    @Test func twoWorkersHaveAJobEachAndTheThirdWaits() async throws {
        try await Harness.run([{ _ in .holding }, { _ in .holding }]) { harness in
            let port = harness.port
            try await StreamingClient.post("/execute", Harness.job("1"), port: port) { one in
                try await StreamingClient.post("/execute", Harness.job("2"), port: port) { two in
                    #expect(try await one.event()?.name == "started")
                    #expect(try await two.event()?.name == "started")
                    let three = Harness.job("3")
                    try await StreamingClient.post("/execute", three, port: port) { three in
                        try await three.comment()
                        #expect(harness.workers.map { $0.received.count } == [1, 1])
                        for worker in harness.workers { worker.release("1") }
                        #expect(try await one.rest().last?.name == "end")
                        #expect(try await three.event()?.name == "started")
                        for worker in harness.workers { worker.release("3") }
                        #expect(try await three.rest().map(\.name) == ["token", "end"])
                    }
                    for worker in harness.workers { worker.release("2") }
                    #expect(try await two.rest().last?.name == "end")
                }
            }
            #expect(harness.workers.map(\.mostAtOnce) == [1, 1])
        }
    }

    @Test func fiftyStreamsAtOnce() async throws {
        let scripts = (1...4).map { _ in
            { @Sendable (job: GenerationJob) in
                Script(pieces: (0..<40).map { "\(job.id).\($0) " })
            }
        }
        try await Harness.run(scripts) { harness in
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for number in 0..<50 {
                    tasks.addTask {
                        let id = "job\(number)"
                        let body = Harness.job(id, #""prompt":"Hi","max_tokens":40"#)
                        let events = try await harness.execute(body)
                        #expect(grammarFault(events) == nil)
                        let text = events.compactMap(\.text).joined()
                        #expect(text == (0..<40).map { "\(id).\($0) " }.joined())
                    }
                }
                try await tasks.waitForAll()
            }
            let counts = harness.workers.map { $0.received.count }
            #expect(counts.reduce(0, +) == 50)
            #expect(counts.allSatisfy { $0 > 0 })
        }
    }

    @Test func workerThatDiesIsSucceededWithoutASeam() async throws {
        let whole = Script(pieces: ["a", "b", "c", "d"])
        try await Harness.run(
            [{ _ in Script(pieces: ["a", "b"], ending: .hold) }, { _ in whole }],
            Harness.Settings(silence: .milliseconds(500))
        ) { harness in
            try await StreamingClient.post(
                "/execute", Harness.job("a"), port: harness.port
            ) { client in
                var events: [ParsedEvent] = []
                for _ in 0..<3 { events.append(try #require(await client.event())) }
                #expect(harness.workers.map(\.receivedJobs.count) == [1, 0])
                harness.workers[0].die()
                events += try await client.rest()
                #expect(grammarFault(events) == nil)
                #expect(events.compactMap(\.text) == ["a", "b", "c", "d"])
                #expect(harness.workers.map(\.receivedJobs.count) == [1, 1])
                let seeds = harness.workers.flatMap(\.receivedJobs).map(\.seed)
                #expect(seeds[0] == seeds[1] && seeds[0] != nil)
            }
        }
    }

    @Test func jobWithoutAnyWorkerLeftEndsWithAnError() async throws {
        try await Harness.run(
            [{ _ in .holding }],
            Harness.Settings(
                silence: .milliseconds(500), workerPatience: .milliseconds(300))
        ) { harness in
            try await StreamingClient.post(
                "/execute", Harness.job("a"), port: harness.port
            ) { client in
                _ = try await client.event()
                harness.workers[0].die()
                let events = try await client.rest()
                #expect(events.map(\.name) == ["token", "error"])
                #expect(events.last?.json["code"]?.asString == "WORKER_LOST")
                #expect(events.last?.json["retriable"]?.asBool == true)
            }
        }
    }

    // MARK: - Health

    private struct Health: Sendable {
        var status: Int
        var json: JSONObject
    }

    private func health(_ harness: Harness) async throws -> Health {
        try await StreamingClient.get("/health", port: harness.port) { client in
            let text = try await client.plainBody()
            let json = try StrictJSON.parse(Array(text.utf8), limits: .http)
            return Health(status: client.status, json: try #require(json.asObject))
        }
    }

    @Test func healthIsTheUnionOfFields() async throws {
        try await Harness.run([{ _ in .holding }, { _ in .holding }]) { harness in
            let health = try await health(harness)
            #expect(health.status == 200)
            let json = health.json
            for (key, value) in [
                "status": "healthy", "state": "idle", "model": "scripted", "quant_kind": "f32",
                "tokenizer_kind": "gguf-bpe", "memory_type": "cpu", "memory_architecture": "cpu",
                "worker_type": "cpu", "protocol": "sse",
            ] {
                #expect(json[key]?.asString == value, "\(key)")
            }
            for (key, value) in [
                "vram_bytes": 0, "vram_bytes_used": 0, "vocab_size": 50_257,
                "context_length": 1_024, "memory_bytes": 2_000,
            ] as [String: UInt64] {
                #expect(json[key]?.asNumber?.asUInt64 == value, "\(key)")
            }
            #expect(json["model_loaded"]?.asBool == true)
            #expect(json["resident"]?.asBool == true)
            #expect(json["capabilities"]?.asArray?.compactMap(\.asString) == ["text-gen"])
            #expect(json["uptime_seconds"]?.asNumber?.asUInt64 != nil)
            let workers = json["workers"]?.asArray?.compactMap(\.asObject) ?? []
            #expect(workers.compactMap { $0["worker_id"]?.asString } == ["w1", "w2"])
        }
    }

    @Test func healthFollowsTheWorkers() async throws {
        try await Harness.run([{ _ in .holding }]) { harness in
            let worker = harness.workers[0]
            let serving = harness.shim.queue.serving
            for (said, state) in [
                (WorkerStatus.State.loading, Serving.State.loading), (.draining, .draining),
                (.stalled, .stalled),
            ] {
                worker.say(said)
                try await eventually { serving.snapshot().state == state }
                let health = try await health(harness)
                #expect(health.status == 503)
                #expect(health.json["state"]?.asString == said.rawValue)
                #expect(health.json["status"]?.asString == "unhealthy")
                #expect(health.json["model_loaded"]?.asBool == false)
            }
            worker.say(.idle)
            try await eventually { serving.snapshot().state == .idle }
            #expect(try await self.health(harness).status == 200)
            worker.leave()
            try await eventually { serving.snapshot().state == .noWorker }
            #expect(try await self.health(harness).status == 503)
        }
    }

    /// A worker that does nothing but compute is not asked, and neither is the queue's thread.
    @Test func healthIsAnsweredWithoutAskingAnyone() async throws {
        try await Harness.run([{ _ in .holding }]) { harness in
            harness.workers[0].die()
            let asked = harness.shim.queue.messageCount
            try await StreamingClient.get("/health", port: harness.port) { client in
                _ = try await client.plainBody()
                for _ in 0..<50 {
                    try await client.get("/health")
                    _ = try await client.plainBody()
                }
                for path in ["/livez", "/metrics"] {
                    try await client.get(path)
                    #expect(client.status == 200)
                    _ = try await client.plainBody()
                }
            }
            #expect(harness.shim.queue.messageCount == asked)
            // How long the last word of a worker is good: ServingTests.
            try await eventually { try await self.health(harness).status == 503 }
            #expect(try await self.health(harness).json["state"]?.asString == "lost")
        }
    }

    /// A job that runs, for its client and on its worker, makes no answer about the server wait.
    @Test func aRunningJobMakesNoQuestionWait() async throws {
        try await Harness.run([{ _ in .holding }]) { harness in
            try await StreamingClient.post(
                "/execute", Harness.job("a"), port: harness.port
            ) { job in
                #expect(try await job.event()?.name == "started")
                #expect(try await job.event()?.name == "token")
                let asked = harness.shim.queue.messageCount
                try await StreamingClient.get("/health", port: harness.port) { client in
                    _ = try await client.plainBody()
                    for path in ["/health", "/metrics", "/livez", "/openapi.json", "/"] {
                        for _ in 0..<10 {
                            try await client.get(path)
                            #expect(client.status == 200, "\(path)")
                            _ = try await client.plainBody()
                        }
                    }
                }
                #expect(harness.shim.queue.messageCount == asked)
                harness.workers[0].release("a")
                #expect(try await job.rest().last?.name == "end")
            }
        }
    }

    // MARK: - Shutdown

    @Test func streamsEndBeforeTheServer() async throws {
        try await Harness.run([{ _ in .holding }]) { harness in
            try await StreamingClient.post(
                "/execute", Harness.job("a"), port: harness.port
            ) { client in
                _ = try await client.event()
                await harness.group.triggerGracefulShutdown()
                try await eventually {
                    do {
                        try await StreamingClient.get("/livez", port: harness.port) { _ in }
                        return false
                    } catch {
                        return true
                    }
                }
                harness.workers[0].release("a")
                #expect(try await client.rest().last?.name == "end")
            }
        }
    }

    @Test func streamsAreEndedAtTheDrainTimeout() async throws {
        try await Harness.run(
            [{ _ in .holding }], Harness.Settings(drainTimeout: .milliseconds(200))
        ) { harness in
            try await StreamingClient.post(
                "/execute", Harness.job("a"), port: harness.port
            ) { client in
                _ = try await client.event()
                await harness.group.triggerGracefulShutdown()
                let events = try await client.rest()
                #expect(events.last?.json["code"]?.asString == "SHUTDOWN")
                #expect(events.last?.json["retriable"]?.asBool == true)
            }
            try await eventually { harness.workers[0].received.contains(.cancel("a")) }
        }
    }
}
