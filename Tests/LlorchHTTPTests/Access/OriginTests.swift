// Which web pages may use the server from a browser, and which texts name no origin.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import LlorchHTTP
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(1))) struct OriginTests {
    private static let app = "https://app.example"

    /// The headers by which a browser lets a page read an answer.
    private static let cors: [HTTPField.Name] = [
        .accessControlAllowOrigin, .accessControlAllowMethods, .accessControlAllowHeaders,
        .accessControlExposeHeaders, .accessControlMaxAge, .accessControlAllowCredentials,
    ]

    private func settings(_ origins: String..., token: String? = nil) throws -> Harness.Settings {
        var settings = Harness.Settings()
        settings.allowedOrigins = try origins.map(AllowedOrigin.init(parsing:))
        settings.token = try token.map { try AccessToken(Array($0.utf8), from: "here") }
        return settings
    }

    private static func preflight(
        _ client: PlainClient, _ path: String, from origin: String, for method: String = "POST",
        headers: String? = "authorization,content-type,last-event-id"
    ) async throws -> PlainResponse {
        var fields: HTTPFields = [.origin: origin, .accessControlRequestMethod: method]
        if let headers { fields[.accessControlRequestHeaders] = headers }
        return try await client.execute(uri: path, method: .options, headers: fields)
    }

    @Test(arguments: [
        ("/execute", "POST"), ("/cancel", "POST"), ("/cancel/a", "POST"),
        ("/v1/completions", "POST"), ("/health", "GET"), ("/livez", "GET"), ("/metrics", "GET"),
        ("/", "GET"),
    ])
    func aPreflightNeedsNoToken(path: String, method: String) async throws {
        try await Harness.run([], settings(Self.app, token: "secret")) { harness in
            let answer = try await Self.preflight(
                PlainClient(port: harness.port), path, from: Self.app, for: method)
            #expect(answer.status == .noContent)
            #expect(answer.headers[.accessControlAllowOrigin] == Self.app)
            let methods = answer.headers[.accessControlAllowMethods]?.split(separator: ", ") ?? []
            #expect(methods.contains(method[...]))
            #expect(
                answer.headers[.accessControlAllowHeaders]
                    == "authorization, content-type, last-event-id")
            #expect(answer.headers[.vary] == "Origin")
            #expect(answer.headers[.accessControlAllowCredentials] == nil)
        }
    }

    /// A refusal too: else the page would see that something failed, and not what.
    @Test func answersToANamedOriginMayBeRead() async throws {
        try await Harness.run([], settings("http://localhost:5173", Self.app, token: "secret")) {
            let client = PlainClient(port: $0.port)
            for origin in ["http://localhost:5173", Self.app] {
                for (path, method, status) in [
                    ("/health", HTTPRequest.Method.get, 503), ("/livez", .head, 200),
                    ("/metrics", .get, 401), ("/execute", .post, 401), ("/nowhere", .get, 401),
                ] {
                    let answer = try await client.execute(
                        uri: path, method: method, headers: [.origin: origin])
                    #expect(answer.status.code == status, "\(path)")
                    #expect(answer.headers[.accessControlAllowOrigin] == origin)
                    let readable = answer.headers[.accessControlExposeHeaders] ?? ""
                    #expect(readable.contains("X-Correlation-ID, Retry-After"))
                    #expect(answer.headers[.vary] == "Origin")
                }
            }
        }
    }

    @Test(arguments: [
        "https://evil.example", "http://app.example", "https://app.example:8443",
        "https://app.example.evil.example", "https://sub.app.example", "https://app.exampl",
        "HTTPS://APP.EXAMPLE", "null", "*", "", "https://app.example/",
        "https://app.example, https://evil.example",
    ])
    func anotherOriginGetsNoHeaders(origin: String) async throws {
        try await Harness.run([], settings(Self.app)) { harness in
            let client = PlainClient(port: harness.port)
            let asked = try await Self.preflight(client, "/execute", from: origin)
            #expect(asked.status == .methodNotAllowed)
            #expect(asked.headers[.allow] == "POST")
            let live = try await client.execute(
                uri: "/livez", method: .get, headers: [.origin: origin])
            #expect(live.status == .ok)
            for answer in [asked, live] {
                for name in Self.cors { #expect(answer.headers[name] == nil, "\(name)") }
                #expect(answer.headers[.vary] == "Origin")
            }
        }
    }

    @Test func withoutTheOptionNoPageIsLetIn() async throws {
        try await Harness.run([]) { harness in
            let client = PlainClient(port: harness.port)
            for origin in [Self.app, "http://localhost:\(harness.port)", "null"] {
                let asked = try await Self.preflight(client, "/execute", from: origin)
                #expect(asked.status == .methodNotAllowed)
                let live = try await client.execute(
                    uri: "/livez", method: .get, headers: [.origin: origin])
                for answer in [asked, live] {
                    for name in Self.cors + [.vary] {
                        #expect(answer.headers[name] == nil, "\(name)")
                    }
                }
            }
        }
    }

    @Test func whatIsNoPreflightIsAnsweredAsBefore() async throws {
        try await Harness.run([], settings(Self.app)) { harness in
            let client = PlainClient(port: harness.port)
            let plain = try await client.execute(
                uri: "/execute", method: .options, headers: [.origin: Self.app])
            #expect(plain.status == .methodNotAllowed)
            #expect(plain.headers[.accessControlAllowOrigin] == Self.app)
            for headers in ["a b", "é", ",", " "] {
                let odd = try await Self.preflight(
                    client, "/execute", from: Self.app, headers: headers)
                #expect(odd.headers[.accessControlAllowHeaders] == nil, "\(headers)")
            }
            let rebound = try await client.execute(
                uri: "/execute", method: .options,
                headers: [.origin: Self.app, .accessControlRequestMethod: "POST"],
                host: "evil.example")
            #expect(rebound.status == .forbidden)
        }
    }

    /// As browsers write them: in small letters, without the port that the scheme has anyway.
    @Test(arguments: [
        ("HTTPS://App.Example:443", app), ("https://app.example", app),
    ])
    func anOriginIsMeantAsBrowsersWriteIt(given: String, sent: String) async throws {
        try await Harness.run([], settings(given)) { harness in
            let answer = try await Self.preflight(
                PlainClient(port: harness.port), "/execute", from: sent)
            #expect(answer.headers[.accessControlAllowOrigin] == sent)
        }
    }

    @Test(arguments: [
        "", "*", "null", "app.example", "https://", "https://*", "https://*.example", "://a",
        "https://app.example/", "https://app.example/path", "https://app.example?x",
        "https://user@app.example", "https://app.example:", "https://app.example:port",
        "https:app.example", "1http://a", "https://a b", "https://a\r\nX: y", "https://[::1",
    ])
    func whatIsNoOriginIsRefused(text: String) {
        #expect(throws: AllowedOriginError.self) { try AllowedOrigin(parsing: text) }
    }
}
