// Who is let in where the server has a token, and which tokens are none.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import HTTPTypes
import LlorchHTTP
import LlorchProtocol
import NIOCore
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1))) struct AccessTokenTests {
    private static let text = "s3cr3t-t0ken/+="

    private func token(_ text: String) throws -> AccessToken {
        try AccessToken(Array(text.utf8), from: "here")
    }

    private func statuses(
        of authorizations: [String?], path: String = "/nowhere",
        method: HTTPRequest.Method = .get
    ) async throws -> [Int] {
        var settings = Harness.Settings()
        settings.token = try token(Self.text)
        let found = Found()
        try await Harness.run([], settings) { harness in
            for authorization in authorizations {
                var headers = HTTPFields()
                headers[.authorization] = authorization
                let response = try await PlainClient(port: harness.port).execute(
                    uri: path, method: method, headers: headers)
                await found.append(response)
            }
        }
        for response in await found.responses where response.status == .unauthorized {
            #expect(response.headers[.wwwAuthenticate] == "Bearer")
            let body = String(buffer: response.body)
            #expect(body.contains(#""field":"authorization","constraint":"bearer_token""#))
            #expect(!body.contains(Self.text))
        }
        return await found.responses.map(\.status.code)
    }

    private actor Found {
        var responses: [PlainResponse] = []

        func append(_ response: PlainResponse) { responses.append(response) }
    }

    @Test func onlyTheTokenLetsIn() async throws {
        let right = ["Bearer \(Self.text)", "bearer \(Self.text)", "BEARER \(Self.text)"]
        #expect(try await statuses(of: right) == right.map { _ in 404 })
        let wrong: [String?] = [
            nil, "", "Bearer", "Bearer ", "Bearer x", Self.text, "Basic \(Self.text)",
            "Bearer \(Self.text)x", "Bearer \(Self.text.dropLast())",
            "Bearer \(Self.text.uppercased())",
            "Bearer  \(Self.text)", "Bearer \(Self.text)\(Self.text)", "Bearer é",
        ]
        #expect(try await statuses(of: wrong) == wrong.map { _ in 401 })
    }

    @Test(arguments: [
        ("/execute", HTTPRequest.Method.post), ("/execute", .get), ("/cancel", .post),
        ("/cancel/a", .post), ("/metrics", .get), ("/health/", .get), ("/page", .get),
        ("/page/nothing.js", .get),
    ])
    func everyPathButThoseOfWatchersAndThePageIsGuarded(
        path: String, method: HTTPRequest.Method
    ) async throws {
        #expect(try await statuses(of: [nil], path: path, method: method) == [401])
    }

    @Test func watchersNeedNone() async throws {
        #expect(try await statuses(of: [nil, "Bearer x"], path: "/livez") == [200, 200])
        #expect(try await statuses(of: [nil], path: "/health") == [503])
    }

    @Test func withoutATokenNothingIsAsked() async throws {
        try await Harness.run([]) { harness in
            let response = try await PlainClient(port: harness.port).execute(
                uri: "/nowhere", method: .get)
            #expect(response.status == .notFound)
        }
    }

    @Test(arguments: [
        "", "\n", "\r\n", " ", "a b", "a\tb", "é", "a\nb", "a\u{0}",
        String(repeating: "x", count: 4_097),
    ])
    func whatIsNoTokenIsRefusedWithoutItsText(text: String) throws {
        do throws(AccessTokenError) {
            _ = try AccessToken(Array(text.utf8), from: "here")
            Issue.record("it was taken")
        } catch {
            #expect("\(error)".hasPrefix("here: expected"))
            #expect(text.count < 2 || !"\(error)".contains(text))
        }
    }

    @Test func aTokenIsInNoDescription() throws {
        let token = try token(Self.text)
        var dumped = ""
        dump(token, to: &dumped)
        for shown in ["\(token)", String(reflecting: token), dumped] {
            #expect(!shown.contains(Self.text))
        }
    }

    @Test func filesOfTheirOwnersAreRead() throws {
        let folder = try TemporaryDirectory()
        func file(_ text: String, mode: mode_t) -> String {
            let path = "\(folder.path)/token-\(mode)"
            let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
            let bytes = Array(text.utf8)
            _ = write(descriptor, bytes, bytes.count)
            close(descriptor)
            chmod(path, mode)
            return path
        }
        _ = try AccessToken(file: file("secret\n", mode: 0o600))
        _ = try AccessToken(file: file(String(repeating: "x", count: 4_096) + "\r\n", mode: 0o400))
        for mode: mode_t in [0o644, 0o640, 0o602] {
            #expect(throws: AccessTokenError.self) {
                try AccessToken(file: file("secret", mode: mode))
            }
        }
        for path in ["/nowhere/at/all", folder.path, "/dev/zero"] {
            #expect(throws: AccessTokenError.self) { try AccessToken(file: path) }
        }
        #expect(throws: AccessTokenError.self) {
            try AccessToken(file: file(String(repeating: "x", count: 9_999), mode: 0o600))
        }
    }
}
