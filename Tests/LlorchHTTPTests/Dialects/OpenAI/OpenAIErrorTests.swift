// Every refusal below /v1/ has OpenAI's shape, wherever in the server it comes from, and the headers by which its
// clients try again or do not. Other paths keep theirs.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import LlorchHTTP
import LlorchJSON
import LlorchProtocol
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(1))) struct OpenAIErrorTests {
    struct Expected: Sendable {
        var status: Int
        var type: String
        var code: String
        var retry: String?
    }

    /// By the code of the job's failure.
    private static let failures: [(JobFailure.Code, Expected)] = [
        (.invalidRequest, .init(status: 400, type: "invalid_request_error", code: "null")),
        (
            .contextOverflow,
            .init(
                status: 400, type: "invalid_request_error", code: "\"context_length_exceeded\"")
        ),
        (
            .queueFull,
            .init(
                status: 429, type: "rate_limit_error", code: "\"rate_limit_exceeded\"",
                retry: "true")
        ),
        (
            .workerLost,
            .init(status: 503, type: "server_error", code: "\"worker_lost\"", retry: "true")
        ),
        (.poison, .init(status: 500, type: "server_error", code: "\"poison\"", retry: "false")),
        (
            .inferenceFailed,
            .init(status: 500, type: "server_error", code: "\"inference_failed\"", retry: "false")
        ),
        (
            .inferenceTimeout,
            .init(status: 504, type: "server_error", code: "\"inference_timeout\"", retry: "false")
        ),
        (.internal, .init(status: 500, type: "server_error", code: "\"internal\"", retry: "true")),
    ]

    @Test func failuresHaveStatusesThatClientsKnow() throws {
        for (code, expected) in Self.failures {
            let refusal = Refusal(JobFailure(code, "why"))
            #expect(OpenAIErrors().status(of: refusal).code == expected.status, "\(code)")
            let headers = OpenAIErrors().headers(of: refusal)
            let retry = CompletionAnswer.header("x-should-retry", of: headers)
            #expect(retry == expected.retry, "\(code)")
            let delay = CompletionAnswer.header("retry-after", of: headers)
            #expect((delay != nil) == [429, 503].contains(expected.status), "\(code)")
            let body = OpenAIErrors().body(of: refusal)
            let error = try #require(
                try StrictJSON.parse(body, limits: .http).asObject?["error"]?.asObject)
            #expect(error["type"]?.asString == expected.type, "\(code)")
            #expect(error.json("code") == expected.code, "\(code)")
            #expect(error["message"]?.asString == "why")
        }
    }

    @Test func allThatIsWrongIsTold() async throws {
        try await Harness.run([{ _ in Script() }]) { harness in
            let answer = try await harness.complete(
                #""prompt":"a","n":0,"nonsense":1,"suffix":"b""#)
            #expect(answer.status == 400)
            let message = try #require(try answer.error["message"]?.asString)
            for part in ["argument supplied: nonsense", "suffix", "n must be 1 to 16"] {
                #expect(message.contains(part), "\(message)")
            }
            #expect(try answer.error["type"]?.asString == "invalid_request_error")
        }
    }

    @Test func theModelMustBeTheOneThatIsServed() async throws {
        try await Harness.run([{ _ in Script() }]) { harness in
            let answer = try await harness.send(
                "POST", "/v1/completions", #"{"model":"gpt-4","prompt":"a"}"#)
            #expect(answer.status == 404)
            #expect(try answer.error["code"]?.asString == "model_not_found")
            #expect(try answer.error["param"]?.asString == "model")
            #expect(harness.workers[0].received.isEmpty)
        }
    }

    @Test func withoutAWorkerAClientIsToldToComeAgain() async throws {
        try await Harness.run([]) { harness in
            for path in ["/v1/models/scripted", "/v1/completions"] {
                let answer = try await harness.send(
                    path == "/v1/completions" ? "POST" : "GET", path,
                    #"{"model":"scripted","prompt":"a"}"#)
                #expect(answer.status == 503 && answer.header("retry-after") == "1", "\(path)")
                #expect(try answer.error["code"]?.asString == "worker_lost", "\(path)")
            }
            let list = try await harness.send("GET", "/v1/models")
            #expect(list.text == #"{"object":"list","data":[]}"#)
        }
    }

    @Test func theModelsAreThoseOfTheWorkers() async throws {
        try await Harness.run([{ _ in Script() }, { _ in Script() }]) { harness in
            let list = try await harness.send("GET", "/v1/models")
            let models = try #require(try list.object["data"]?.asArray)
            #expect(models.count == 1)
            let one = try await harness.send("GET", "/v1/models/%73cripted")
            #expect(try .object(one.object) == models[0])
            #expect(try one.object["id"]?.asString == "scripted")
            #expect(try await harness.send("HEAD", "/v1/models").text.isEmpty)
            for name in ["other", "a/b", "%zz", "scripted/", "%FF"] {
                let answer = try await harness.send("GET", "/v1/models/\(name)")
                #expect(answer.status == 404, "\(name)")
                #expect(try answer.error["code"]?.asString == "model_not_found", "\(name)")
            }
        }
    }

    @Test func chatIsRefusedWithTheReason() async throws {
        try await Harness.run([{ _ in Script() }]) { harness in
            let answer = try await harness.send(
                "POST", "/v1/chat/completions", #"{"model":"scripted","messages":[]}"#)
            #expect(answer.status == 404)
            let message = try #require(try answer.error["message"]?.asString)
            #expect(message.contains("no chat template") && message.contains("/v1/completions"))
        }
    }

    @Test func unknownPathsAndMethodsAreToldInThisShape() async throws {
        try await Harness.run([{ _ in Script() }]) { harness in
            for path in ["/v1", "/v1/", "/v1/completions/", "/v1/models/", "/v1/embeddings"] {
                let answer = try await harness.send("GET", path)
                #expect(answer.status == 404, "\(path)")
                #expect(try answer.error["code"]?.asString == "unknown_url", "\(path)")
            }
            for (method, path, allowed) in [
                ("GET", "/v1/completions", "POST"), ("POST", "/v1/models", "GET,HEAD"),
                ("DELETE", "/v1/models/scripted", "GET,HEAD"),
                ("GET", "/v1/chat/completions", "POST"),
            ] {
                let answer = try await harness.send(method, path)
                #expect(answer.status == 405 && answer.header("allow") == allowed, "\(path)")
                #expect(try answer.error["code"]?.asString == "method_not_supported")
            }
            for path in ["/v2/models", "/v1x", "/"] {
                let answer = try await harness.send("GET", path)
                #expect(!answer.text.contains("invalid_request_error"), "\(path)")
            }
        }
    }

    @Test func theTokenIsCheckedFirst() async throws {
        var settings = Harness.Settings()
        settings.token = try AccessToken(Array("sk-right".utf8), from: "test")
        try await Harness.run([{ _ in Script() }], settings) { harness in
            let body = #"{"model":"scripted","prompt":"a"}"#
            for headers in [[], ["Authorization: Bearer sk-wrong"]] {
                let answer = try await harness.send(
                    "POST", "/v1/completions", body,
                    headers: headers + ["Content-Type: application/json"])
                #expect(answer.status == 401 && answer.header("www-authenticate") == "Bearer")
                #expect(try answer.error["code"]?.asString == "invalid_api_key")
            }
            let answer = try await harness.send(
                "POST", "/v1/completions", body,
                headers: ["Authorization: Bearer sk-right", "Content-Type: application/json"])
            #expect(answer.status == 200)
        }
    }

    /// The raw request, and the status of the answer.
    static let requests: [(String, Int)] = [
        ("POST /v1/completions HTTP/1.0\r\nHost: evil.example\r\n\r\n", 403),
        ("POST /v1/completions HTTP/1.0\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", 415),
        (
            "POST /v1/completions HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                + "Content-Length: 2097153\r\n\r\n", 413
        ),
        (
            "POST /v1/completions HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                + "Content-Length: 1\r\n\r\n{", 400
        ),
        // Refused by the connection, before there is a route.
        ("GET /v1/models HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET /v1/models?x HTTP/1.1\r\nHost: localhost\r\nExpect: tea\r\n\r\n", 417),
        (
            "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400
        ),
    ]

    @Test(arguments: requests)
    func whateverRefusesItTheShapeIsThePaths(_ request: String, _ status: Int) async throws {
        try await Harness.run([]) { harness in
            for isOurs in [true, false] {
                let request =
                    isOurs
                    ? request
                    : request.replacing("/v1/completions", with: "/execute").replacing(
                        "/v1/models", with: "/health")
                let answer = CompletionAnswer(
                    try PlainClient.parse(
                        try await PlainClient(port: harness.port).exchange(
                            ByteBuffer(string: request))))
                if answer.status == 200 { continue }
                #expect(answer.status == status, "\(answer.text)")
                if isOurs {
                    #expect(try answer.error["type"]?.asString == "invalid_request_error")
                    #expect(try answer.error["param"] == .null)
                    #expect(answer.header("x-request-id") == answer.header("x-correlation-id"))
                } else {
                    #expect(answer.text.hasPrefix(#"{"errors":["#), "\(answer.text)")
                    #expect(answer.header("x-request-id") == nil)
                }
            }
        }
    }
}
