// GET /metrics over a real connection: the names, and that what was done is what is told.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import LlorchHTTP
import LlorchProtocol
import LlorchQueue
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(2))) struct MetricsTests {
    static let families = [
        "llorch_jobs_total": "counter", "llorch_jobs_running": "gauge",
        "llorch_jobs_waiting": "gauge", "llorch_queue_wait_seconds": "histogram",
        "llorch_time_to_first_token_seconds": "histogram",
        "llorch_inter_token_seconds": "histogram", "llorch_prompt_tokens_total": "counter",
        "llorch_generated_tokens_total": "counter", "llorch_cancel_seconds": "histogram",
        "llorch_redeliveries_total": "counter", "llorch_replays_total": "counter",
        "llorch_fenced_events_total": "counter", "llorch_event_gaps_total": "counter",
        "llorch_outbox_bytes": "gauge", "llorch_rejected_total": "counter",
        "llorch_malformed_total": "counter", "llorch_worker_up": "gauge",
        "llorch_worker_name_conflict": "gauge", "llorch_worker_boots_total": "counter",
        "llorch_sse_clients": "gauge", "llorch_connections": "gauge",
        "llorch_accept_pauses_total": "counter", "worker_vram_bytes": "gauge",
        "worker_requests_total": "counter", "worker_tokens_in_total": "counter",
        "worker_tokens_generated_total": "counter", "worker_inference_duration_ms": "histogram",
        "worker_uptime_seconds": "counter",
    ]

    @Test func theNamesAreTheContracts() async throws {
        try await Harness.run([]) { harness in
            let client = PlainClient(port: harness.port)
            let response = try await client.execute(uri: "/metrics", method: .get)
            #expect(
                response.headers[.contentType] == "text/plain; version=0.0.4; charset=utf-8")
            let page = try MetricsPage(String(buffer: response.body))
            #expect(page.types == Self.families)
            #expect(page.helps.keys == page.types.keys)
            #expect(page.helps.values.allSatisfy { !$0.isEmpty })
            // Known from the first question on: a rate over what appears later would miss its first.
            #expect(page[#"llorch_jobs_total{outcome="end"}"#] == 0)
            #expect(page[#"llorch_rejected_total{code="QUEUE_FULL"}"#] == 0)
            #expect(page[#"llorch_redeliveries_total{reason="worker_restarted"}"#] == 0)
            #expect(page["llorch_cancel_seconds_count"] == 0)
            #expect(page[#"worker_requests_total{outcome="timeout"}"#] == 0)

            let head = try await client.execute(uri: "/metrics", method: .head)
            #expect(head.status == .ok && head.body.readableBytes == 0)
            let post = try await client.execute(uri: "/metrics", method: .post)
            #expect(post.status == .methodNotAllowed)
            #expect(post.headers[.allow] == "GET,HEAD")
            #expect(try await client.execute(uri: "/metrics/", method: .get).status == .notFound)
        }
    }

    @Test func oneJobIsCountedAsWhatItWas() async throws {
        try await Harness.run([{ _ in Script() }]) { harness in
            _ = try await harness.execute(Harness.job("secret-name"))
            let page = try await MetricsPage.get(harness)
            #expect(page[#"llorch_jobs_total{outcome="end"}"#] == 1)
            #expect(page.total("llorch_jobs_total") == 1)
            #expect(page["llorch_prompt_tokens_total"] == 1)
            #expect(page["llorch_generated_tokens_total"] == 3)
            #expect(page["llorch_queue_wait_seconds_count"] == 1)
            #expect(page["llorch_time_to_first_token_seconds_count"] == 1)
            #expect(page["llorch_inter_token_seconds_count"] == 2)
            #expect(page["llorch_jobs_running"] == 0)
            #expect(page[#"worker_vram_bytes{worker_id="w1"}"#] == 0)
            #expect(page[#"worker_requests_total{outcome="success"}"#] == 1)
            #expect(page.total("worker_requests_total") == 1)
            #expect(page["worker_tokens_in_total"] == 1)
            #expect(page["worker_tokens_generated_total"] == 3)
            #expect(page["worker_inference_duration_ms_count"] == 1)
            #expect(page["llorch_worker_boots_total"] == 1)
            #expect(page[#"llorch_worker_up{worker="w1"}"#] == 1)
            #expect(page.total("llorch_rejected_total") == 0)
            #expect(page.total("llorch_redeliveries_total") == 0)
            #expect(!page.text.contains("secret-name"))
            // The simulated worker says nothing of its outbox, so nothing is made up.
            #expect(!page.text.contains("llorch_outbox_bytes{"))
            // What is summed: MeasurementTests, in a time of their own.
            #expect(page["llorch_time_to_first_token_seconds_sum"] ?? 0 > 0)
        }
    }

    @Test func whatRunsAndWaitsAndWhoListensIsCounted() async throws {
        try await Harness.run([{ _ in .holding }]) { harness in
            let port = harness.port
            try await StreamingClient.post("/execute", Harness.job("1"), port: port) { one in
                #expect(try await one.event()?.name == "started")
                try await StreamingClient.post("/execute", Harness.job("2"), port: port) { two in
                    try await two.comment()
                    let page = try await MetricsPage.get(harness)
                    #expect(page["llorch_jobs_running"] == 1)
                    #expect(page["llorch_jobs_waiting"] == 1)
                    #expect(page["llorch_sse_clients"] == 2)
                    #expect(page.total("llorch_jobs_total") == 0)
                    try await StreamingClient.post(
                        "/cancel", #"{"job_id":"2"}"#, port: port
                    ) { #expect($0.status == 202) }
                    #expect(try await two.rest().last?.name == "error")
                }
                harness.workers[0].release("1")
                #expect(try await one.rest().last?.name == "end")
            }
            // A stream is over here some moments after its client has read its last byte.
            try await eventually {
                try await MetricsPage.get(harness)["llorch_sse_clients"] == 0
            }
            let page = try await MetricsPage.get(harness)
            #expect(page["llorch_jobs_running"] == 0 && page["llorch_jobs_waiting"] == 0)
            #expect(page[#"llorch_jobs_total{outcome="CANCELLED"}"#] == 1)
            #expect(page[#"llorch_jobs_total{outcome="end"}"#] == 1)
            #expect(page["llorch_cancel_seconds_count"] == 1)
        }
    }

    @Test func aClientThatLeavesCancels() async throws {
        try await Harness.run([{ _ in .holding }]) { harness in
            try await StreamingClient.post(
                "/execute", Harness.job("a"), port: harness.port
            ) { _ = try await $0.event() }
            try await eventually {
                try await MetricsPage.get(harness)["llorch_cancel_seconds_count"] == 1
            }
            let page = try await MetricsPage.get(harness)
            #expect(page[#"llorch_jobs_total{outcome="CANCELLED"}"#] == 1)
        }
    }

    @Test func refusalsAreCountedByCode() async throws {
        let refusing = Script.refusing(JobFailure(.contextOverflow, "too long"))
        try await Harness.run([{ _ in refusing }]) { harness in
            let port = harness.port
            let bodies = ["{", Harness.job("a", #""prompt":"","max_tokens":8"#), Harness.job("b")]
            for body in bodies {
                try await StreamingClient.post("/execute", body, port: port) { client in
                    #expect((400...422).contains(client.status))
                }
            }
            try await StreamingClient.post("/cancel", "[]", port: port) { client in
                #expect(client.status == 422)
            }
            let page = try await MetricsPage.get(harness)
            #expect(page[#"llorch_rejected_total{code="INVALID_REQUEST"}"#] == 3)
            #expect(page[#"llorch_rejected_total{code="CONTEXT_OVERFLOW"}"#] == 1)
            #expect(page.total("llorch_rejected_total") == 4)
            // Only the last was a job.
            #expect(page[#"llorch_jobs_total{outcome="CONTEXT_OVERFLOW"}"#] == 1)
            #expect(page.total("llorch_jobs_total") == 1)
        }
    }

    @Test func aDeadWorkersJobIsARedelivery() async throws {
        let whole = Script(pieces: ["a", "b", "c", "d"])
        try await Harness.run(
            [{ _ in Script(pieces: ["a", "b"], ending: .hold) }, { _ in whole }],
            Harness.Settings(silence: .milliseconds(500))
        ) { harness in
            try await StreamingClient.post(
                "/execute", Harness.job("a"), port: harness.port
            ) { client in
                for _ in 0..<3 { _ = try await client.event() }
                harness.workers[0].die()
                _ = try await client.rest()
            }
            let page = try await MetricsPage.get(harness)
            #expect(page[#"llorch_redeliveries_total{reason="worker_silent"}"#] == 1)
            #expect(page.total("llorch_redeliveries_total") == 1)
            #expect(page["llorch_generated_tokens_total"] == 4, "none twice")
            #expect(page["llorch_prompt_tokens_total"] == 1)
            // The pause of the handover is one of the three.
            #expect(page["llorch_inter_token_seconds_count"] == 3)
            #expect(page["llorch_inter_token_seconds_sum"] ?? 0 > 0.4)
        }
    }

    @Test func jobsNobodyCanServeAreCountedOnce() async throws {
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
                _ = try await client.rest()
            }
            try await eventually { try await MetricsPage.get(harness)["llorch_jobs_running"] == 0 }
            let page = try await MetricsPage.get(harness)
            #expect(page[#"llorch_jobs_total{outcome="WORKER_LOST"}"#] == 1)
            #expect(page.total("llorch_jobs_total") == 1)
        }
    }
}

extension MetricsPage {
    /// Of all samples of a family.
    fileprivate func total(_ family: String) -> Double {
        samples.filter { $0.key.hasPrefix(family + "{") }.values.reduce(0, +)
    }
}
