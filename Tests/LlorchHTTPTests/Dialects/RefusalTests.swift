// Every status and text that a client can get before a stream opens, over a real connection.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import LlorchHTTP
import LlorchJSON
import LlorchProtocol
import LlorchQueue
import Logging
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(2))) struct RefusalTests {
    struct Expected: Sendable {
        var status: Int
        var errors: [FieldError]
    }

    /// A shim without workers: enough for all that is wrong with a request itself.
    private func withRouter(
        _ body: @escaping @Sendable (PlainClient) async throws -> Void
    ) async throws {
        try await Harness.run([]) { try await body(PlainClient(port: $0.port)) }
    }

    private func errors(_ response: PlainResponse) throws -> [FieldError] {
        #expect(response.headers[.contentType] == "application/json")
        let json = try StrictJSON.parse(Array(response.body.readableBytesView), limits: .http)
        let object = try #require(json.asObject)
        #expect(object.members.map(\.key) == ["errors"])
        return try #require(object["errors"]?.asArray).map { error in
            let error = try #require(error.asObject)
            return FieldError(
                field: error["field"]?.asString ?? "",
                constraint: error["constraint"]?.asString ?? "",
                message: error["message"]?.asString ?? "", value: error["value"]?.asString)
        }
    }

    private static func post(
        _ client: PlainClient, _ path: String, _ body: [UInt8],
        type: String? = "application/json"
    ) async throws -> PlainResponse {
        var headers = HTTPFields()
        headers[.contentType] = type
        return try await client.execute(
            uri: path, method: .post, headers: headers, body: ByteBuffer(bytes: body))
    }

    // MARK: - Values

    static let long = String(repeating: "é", count: 51)
    static let values: [(String, [FieldError])] = [
        (
            #""job_id":"","prompt":"x""#,
            [
                .init(
                    field: "job_id", constraint: "non_empty", message: "job_id must not be empty",
                    value: "")
            ]
        ),
        (
            #""job_id":"a","prompt":"""#,
            [
                .init(
                    field: "prompt", constraint: "length(1..=32768)",
                    message: "prompt must not be empty")
            ]
        ),
        (
            #""job_id":"a","prompt":"\#(String(repeating: "é", count: 32_769))""#,
            [
                .init(
                    field: "prompt", constraint: "length(1..=32768)",
                    message: "prompt must be at most 32768 characters (got 32769)")
            ]
        ),
        (
            #""job_id":"a","prompt":"x","max_tokens":0"#,
            [
                .init(
                    field: "max_tokens", constraint: "range(1..=2048)",
                    message: "max_tokens must be at least 1", value: "0")
            ]
        ),
        (
            #""job_id":"a","prompt":"x","max_tokens":4294967295"#,
            [
                .init(
                    field: "max_tokens", constraint: "range(1..=2048)",
                    message: "max_tokens must be at most 2048 (got 4294967295)", value: "4294967295"
                )
            ]
        ),
        (
            #""job_id":"a","prompt":"x","temperature":-0.5"#,
            [
                .init(
                    field: "temperature", constraint: "range(0.0..=2.0)",
                    message: "temperature must be at least 0.0 (got -0.5)", value: "-0.5")
            ]
        ),
        (
            #""job_id":"a","prompt":"x","temperature":1e39"#,
            [
                .init(
                    field: "temperature", constraint: "range(0.0..=2.0)",
                    message: "temperature must be at most 2.0 (got inf)", value: "inf")
            ]
        ),
        (
            #""job_id":"a","prompt":"x","top_p":3.0,"min_p":-1,"repetition_penalty":2.1"#,
            [
                .init(
                    field: "top_p", constraint: "range(0.0..=1.0)",
                    message: "top_p must be at most 1.0 (got 3)", value: "3"),
                .init(
                    field: "repetition_penalty", constraint: "range(0.0..=2.0)",
                    message: "repetition_penalty must be at most 2.0 (got 2.1)", value: "2.1"),
                .init(
                    field: "min_p", constraint: "range(0.0..=1.0)",
                    message: "min_p must be at least 0.0 (got -1)", value: "-1"),
            ]
        ),
        (
            #""job_id":"a","prompt":"x","stop":["a","","b","\#(long)","c"]"#,
            [
                .init(
                    field: "stop", constraint: "max_count(4)",
                    message: "stop must have at most 4 sequences (got 5)", value: "5"),
                .init(
                    field: "stop", constraint: "non_empty",
                    message: "stop sequence 1 must not be empty"),
                .init(
                    field: "stop", constraint: "max_length(100)",
                    message: "stop sequence 3 must be at most 100 characters (got 102)"),
            ]
        ),
    ]

    @Test(arguments: values) func valuesOutOfRange(
        members: String, expected: [FieldError]
    ) async throws {
        try await withRouter { client in
            let response = try await Self.post(client, "/execute", Array("{\(members)}".utf8))
            #expect(response.status == .badRequest)
            #expect(try errors(response) == expected)
        }
    }

    // MARK: - Bodies

    static let syntax = "Failed to parse the request body as JSON: "
    static let types = "Failed to deserialize the JSON body into the target type: "
    static let bodies: [(String, Int, String)] = [
        ("", 400, syntax),
        (#"{"job_id":"a""#, 400, syntax),
        (#"{"job_id":"a","prompt":"x","temperature":NaN}"#, 400, syntax),
        (#"{"job_id":"a","prompt":"x",}"#, 400, syntax),
        ("\u{FEFF}" + #"{"job_id":"a","prompt":"x"}"#, 400, syntax),
        (#"{"job_id":"a","prompt":"x"} // c"#, 400, syntax),
        (#"{"job_id":"a","prompt":"x"} {}"#, 400, syntax),
        (#"{"job_id":"a","prompt":"\ud800"}"#, 400, syntax),
        (#"{"job_id":"a","prompt":"x","temperature":1e400}"#, 400, syntax),
        (#"["a","x",1]"#, 422, ""),
        (#"{"job_id":"a"}"#, 422, types + "prompt is required"),
        (#"{"job_id":1,"prompt":"x"}"#, 422, types + "job_id must be a string"),
        (#"{"job_id":"a","job_id":"a","prompt":"x"}"#, 422, types),
        (#"{"job_id":"a","prompt":null}"#, 422, types + "prompt must be a string"),
        (#"{"job_id":"a","prompt":"x","top_p":"1"}"#, 422, types + "top_p must be a number"),
        (#"{"job_id":"a","prompt":"x","max_tokens":10.0}"#, 422, types),
        (#"{"job_id":"a","prompt":"x","max_tokens":4294967296}"#, 422, types),
        (#"{"job_id":"a","prompt":"x","seed":18446744073709551616}"#, 422, types),
    ]

    @Test(arguments: bodies) func bodiesThatCannotBeRead(
        body: String, status: Int, beginning: String
    ) async throws {
        try await withRouter { client in
            let response = try await Self.post(client, "/execute", Array(body.utf8))
            #expect(response.status.code == status)
            let errors = try errors(response)
            #expect(!errors.isEmpty)
            for error in errors {
                #expect(error.field == "body")
                #expect(error.message.hasPrefix(beginning), "\(error.message)")
            }
        }
    }

    @Test func notUTF8() async throws {
        try await withRouter { client in
            let body = Array(#"{"job_id":"a","prompt":""#.utf8) + [0xC3] + Array("\"}".utf8)
            let response = try await Self.post(client, "/execute", body)
            #expect(response.status == .badRequest)
            #expect(try errors(response).first?.message.hasPrefix(Self.syntax) == true)
        }
    }

    @Test(arguments: [nil, "text/json", "text/plain", "application/x-www-form-urlencoded", "json"])
    func contentTypesThatAreNotJSON(type: String?) async throws {
        try await withRouter { client in
            for path in ["/execute", "/cancel"] {
                let response = try await Self.post(client, path, Array("{".utf8), type: type)
                #expect(response.status == .unsupportedMediaType)
                let expected = "Expected request with `Content-Type: application/json`"
                #expect(try errors(response).map(\.message) == [expected])
            }
        }
    }

    @Test(arguments: [
        "application/json", "application/json; charset=utf-8", "Application/JSON",
        "application/vnd.llorch+json",
    ]) func contentTypesThatAre(type: String) async throws {
        try await withRouter { client in
            let response = try await Self.post(client, "/execute", Array("{".utf8), type: type)
            #expect(response.status == .badRequest)
        }
    }

    /// The limit itself is allowed; the check of the type comes first, that of syntax later.
    @Test func bodiesOfTwoMebibytes() async throws {
        try await withRouter { client in
            let limit = 2 << 20
            let spaces = [UInt8](repeating: UInt8(ascii: " "), count: limit + 1)
            let over = try await Self.post(client, "/execute", spaces)
            #expect(over.status == .contentTooLarge)
            #expect(try errors(over).first?.field == "body")
            let at = try await Self.post(client, "/execute", Array(spaces.dropLast()))
            #expect(at.status == .badRequest)
            let plain = try await Self.post(client, "/execute", spaces, type: "text/plain")
            #expect(plain.status == .unsupportedMediaType)
        }
    }

    // MARK: - Paths, methods, headers

    @Test func pathsAndMethods() async throws {
        try await withRouter { client in
            for path in [
                "/page", "/page/", "/execute/", "/health/", "/Health", "/cancel/", "/cancel/a/b",
                "/x",
            ] {
                let response = try await client.execute(uri: path, method: .get)
                #expect(response.status == .notFound, "\(path)")
                #expect(response.body.readableBytes == 0)
            }
            for (path, allow) in [
                ("/execute", "POST"), ("/cancel", "POST"), ("/cancel/a", "POST"),
                ("/health", "GET,HEAD"), ("/livez", "GET,HEAD"),
            ] {
                for method in [HTTPRequest.Method.put, .options, .delete] {
                    let response = try await client.execute(uri: path, method: method)
                    #expect(response.status == .methodNotAllowed, "\(method) \(path)")
                    #expect(response.headers[.allow] == allow)
                    #expect(response.body.readableBytes == 0)
                }
            }
            let live = try await client.execute(uri: "/livez?x=1", method: .get)
            #expect(live.status == .ok)
        }
    }

    @Test func correlationIDsAreEchoedOrMade() async throws {
        let name = try #require(HTTPField.Name("x-correlation-id"))
        try await withRouter { client in
            for path in ["/livez", "/health", "/nowhere"] {
                let given = try await client.execute(
                    uri: path, method: .get, headers: [name: "test-123"])
                #expect(given.headers[name] == "test-123")
                for invalid in ["", "a b", "a_b", String(repeating: "a", count: 65)] {
                    let made = try await client.execute(
                        uri: path, method: .get, headers: [name: invalid])
                    let id = try #require(made.headers[name])
                    #expect(id.count == 36 && id != invalid && JobValidation.isCorrelationID(id))
                }
            }
        }
    }

    @Test func withoutWorkersNothingIsTaken() async throws {
        try await withRouter { client in
            let body = Array(#"{"job_id":"a","prompt":"x"}"#.utf8)
            let response = try await Self.post(client, "/execute", body)
            #expect(response.status == .serviceUnavailable)
            #expect(response.headers[.retryAfter] == "1")
            #expect(try errors(response).first?.constraint == "WORKER_LOST")
            let health = try await client.execute(uri: "/health", method: .get)
            #expect(health.status == .serviceUnavailable)
            let live = try await client.execute(uri: "/livez", method: .head)
            #expect(live.status == .ok && live.body.readableBytes == 0)
        }
    }

    @Test func cancelOfTheUnknown() async throws {
        try await withRouter { client in
            for _ in 1...2 {
                let response = try await Self.post(
                    client, "/cancel", Array(#"{"job_id":"no\"ne","reason":1}"#.utf8))
                #expect(response.status == .accepted)
                #expect(
                    String(buffer: response.body) == #"{"status":"cancelling","job_id":"no\"ne"}"#)
            }
            let alias = try await client.execute(uri: "/cancel/a%2Fb%20%C3%A9", method: .post)
            #expect(alias.status == .accepted)
            #expect(String(buffer: alias.body) == #"{"status":"cancelling","job_id":"a/b é"}"#)
            let broken = try await client.execute(uri: "/cancel/%C3", method: .post)
            #expect(broken.status == .notFound)
            let missing = try await Self.post(client, "/cancel", Array("{}".utf8))
            #expect(missing.status == .unprocessableContent)
            let null = try await Self.post(client, "/cancel", Array(#"{"job_id":null}"#.utf8))
            #expect(null.status == .unprocessableContent)
            let empty = try await Self.post(client, "/cancel", Array(#"{"job_id":""}"#.utf8))
            #expect(empty.status == .badRequest)
            #expect(
                try errors(empty) == [
                    .init(
                        field: "job_id", constraint: "non_empty",
                        message: "job_id must not be empty", value: "")
                ])
            let syntax = try await Self.post(client, "/cancel", [])
            #expect(syntax.status == .badRequest)
        }
    }
}
