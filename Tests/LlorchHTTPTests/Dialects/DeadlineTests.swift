// `X-Deadline`: what is a time, what has passed, and what the worker is told.
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
import HTTPTypes
import LlorchHTTP
import LlorchProtocol
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(1))) struct DeadlineTests {
    private static func post(
        _ harness: Harness, _ deadline: String, id: String = "a"
    ) async throws -> PlainResponse {
        let name = try #require(HTTPField.Name("X-Deadline"))
        return try await PlainClient(port: harness.port).execute(
            uri: "/execute", method: .post,
            headers: [.contentType: "application/json", name: deadline],
            body: ByteBuffer(string: Harness.job(id)))
    }

    @Test func aDeadlineThatPassedIs504AndNoJob() async throws {
        try await Harness.run([{ _ in Script() }]) { harness in
            for past in [
                "2020-01-01T00:00:00Z", "0", "1577836800000", "2020-01-01T01:00:00.5+01:00",
            ] {
                let response = try await Self.post(harness, past)
                #expect(response.status == .gatewayTimeout, "\(past)")
                #expect(String(buffer: response.body).contains("INFERENCE_TIMEOUT"))
            }
            #expect(harness.workers[0].received.isEmpty)
        }
    }

    @Test func whatIsNoTimeIs400() async throws {
        try await Harness.run([{ _ in Script() }]) { harness in
            for text in [
                "", "soon", "-1", "2030-01-01", "1e9", "9999999999999999",
                "2030-13-01T00:00:00Z", String(repeating: "1", count: 5_000),
            ] {
                let response = try await Self.post(harness, text)
                #expect(response.status == .badRequest, "\(text.prefix(40))")
                #expect(String(buffer: response.body).contains(#""field":"X-Deadline""#))
            }
        }
    }

    @Test func theWorkerIsToldWhatIsLeft() async throws {
        try await Harness.run([{ _ in Script() }]) { harness in
            let soon = Date.now.addingTimeInterval(3_600)
            let texts = [
                soon.ISO8601Format(), "\(Int64(soon.timeIntervalSince1970 * 1_000))",
                soon.ISO8601Format(.init(includingFractionalSeconds: true)),
                "9999-12-31T23:59:59Z",
            ]
            for (number, text) in texts.enumerated() {
                let response = try await Self.post(harness, text, id: "\(number)")
                #expect(response.status == .ok, "\(text)")
            }
            let told = harness.workers[0].receivedJobs.map(\.deadlineMilliseconds)
            for left in told.prefix(3) {
                // Half an hour is more than any machine needs for the way.
                #expect((1_800_000...3_600_000).contains(left ?? 0), "\(left.debugDescription)")
            }
            #expect(told.last == .some(.max) || (told.last ?? nil) ?? 0 > 4_000_000_000)
        }
    }

    @Test func aJobThatStillWaitsAtItsDeadlineEnds() async throws {
        try await Harness.run([{ _ in .holding }]) { harness in
            try await StreamingClient.post(
                "/execute", Harness.job("runs"), port: harness.port
            ) { _ in
                let soon = Date.now.addingTimeInterval(0.1)
                let response = try await Self.post(
                    harness, "\(Int64(soon.timeIntervalSince1970 * 1_000))", id: "waits")
                // In time for a status, or in a stream that was open by then.
                let body = String(buffer: response.body)
                #expect([200, 504].contains(response.status.code), "\(response.status)")
                #expect(body.contains("INFERENCE_TIMEOUT"))
                #expect(harness.workers[0].receivedJobs.map(\.id) == ["runs"])
            }
        }
    }
}
