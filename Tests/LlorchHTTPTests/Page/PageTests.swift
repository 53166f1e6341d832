// The page's files over HTTP: which there are, with which headers, for whom. What the page does in a browser:
// Tests/EndToEndTests/test_page.py.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import LlorchHTTP
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(1))) struct PageTests {
    private static let types = [
        "html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8",
        "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml",
    ]

    /// Files that a text refers to by these patterns, each of which has one group.
    private func files(
        named pattern: Regex<(Substring, Substring)>, in text: String
    ) -> Set<String> {
        Set(text.matches(of: pattern).map { "/page/\($0.1)" })
    }

    @Test func everyFileThatThePageNamesIsThere() async throws {
        try await Harness.run([]) { harness in
            let client = PlainClient(port: harness.port)
            let page = try await client.execute(uri: "/", method: .get)
            #expect(page.status == .ok)
            #expect(page.headers[.contentType] == Self.types["html"])
            let html = String(buffer: page.body)
            #expect(html.hasPrefix("<!doctype html>"))
            var left = files(named: /(?:href|src)="page\/([^"]+)"/, in: html)
            #expect(left.count == 3)
            var seen: Set<String> = []
            while let path = left.popFirst() {
                seen.insert(path)
                let file = try await client.execute(uri: path, method: .get)
                #expect(file.status == .ok, "\(path)")
                let ending = path.split(separator: ".").last.map(String.init) ?? ""
                #expect(file.headers[.contentType] == Self.types[ending], "\(path)")
                let text = String(buffer: file.body)
                left.formUnion(files(named: /from "\.\/([^"]+)"/, in: text).subtracting(seen))
            }
            #expect(seen.count == 12, "\(seen.sorted())")
        }
    }

    @Test(arguments: ["/", "/?from=a", "/page/page.css", "/page/main.js", "/page/icon.svg"])
    func headersLetABrowserTakeNothingElse(path: String) async throws {
        try await Harness.run([]) { harness in
            let client = PlainClient(port: harness.port)
            let file = try await client.execute(uri: path, method: .get)
            #expect(file.status == .ok)
            let policy = try #require(file.headers[.contentSecurityPolicy])
            let rules = policy.split(separator: ";").map { $0.trimmingPrefix(" ") }
            for rule in [
                "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'",
                "img-src 'self' data:", "base-uri 'none'", "form-action 'none'",
                "frame-ancestors 'none'",
            ] {
                #expect(rules.contains(rule[...]), "\(rule)")
            }
            #expect(!policy.contains("unsafe") && !policy.contains("*"))
            #expect(file.headers[.xContentTypeOptions] == "nosniff")
            #expect(file.headers[.crossOriginResourcePolicy] == "same-origin")
            #expect(file.headers[try #require(HTTPField.Name("Referrer-Policy"))] == "no-referrer")
            #expect(file.headers[.cacheControl] == "no-cache")
            #expect(file.headers[.accessControlAllowOrigin] == nil)
            #expect(file.headers[.vary] == nil)

            let head = try await client.execute(uri: path, method: .head)
            #expect(head.status == .ok)
            #expect(head.body.readableBytes == 0)
            #expect(head.headers[.contentLength] == "\(file.body.readableBytes)")
            #expect(head.headers[.eTag] == file.headers[.eTag])
        }
    }

    @Test func aBrowserThatHasAFileGetsItOnce() async throws {
        try await Harness.run([]) { harness in
            let client = PlainClient(port: harness.port)
            let first = try await client.execute(uri: "/", method: .get)
            let tag = try #require(first.headers[.eTag])
            let script = try await client.execute(uri: "/page/main.js", method: .get)
            #expect(script.headers[.eTag] != tag)
            for (condition, status) in [
                (tag, HTTPResponse.Status.notModified), ("W/\(tag)", .notModified),
                ("\"x\", \(tag)", .notModified), ("*", .notModified), ("\"x\"", .ok), ("", .ok),
                (String(tag.dropFirst()), .ok), (",,", .ok),
            ] {
                let again = try await client.execute(
                    uri: "/", method: .get, headers: [.ifNoneMatch: condition])
                #expect(again.status == status, "\(condition)")
                #expect(again.body.readableBytes == (status == .ok ? first.body.readableBytes : 0))
                #expect(again.headers[.eTag] == tag)
                #expect(again.headers[.contentSecurityPolicy] != nil)
            }
        }
    }

    @Test func otherMethodsAreRefused() async throws {
        try await Harness.run([]) { harness in
            let client = PlainClient(port: harness.port)
            for method in [HTTPRequest.Method.post, .put, .options, .delete] {
                for path in ["/", "/page/main.js"] {
                    let response = try await client.execute(uri: path, method: method)
                    #expect(response.status == .methodNotAllowed, "\(method) \(path)")
                    #expect(response.headers[.allow] == "GET,HEAD")
                }
            }
            for path in [
                "/page", "/page/", "/page/page.html", "/page/../", "/page/PageRoute.swift",
            ] {
                let response = try await client.execute(uri: path, method: .get)
                #expect(response.status == .notFound, "\(path)")
            }
        }
    }

    /// A browser cannot send a token before the page has asked for it, and the files are everyone's.
    @Test func noTokenIsNeededButAnAllowedHost() async throws {
        var settings = Harness.Settings()
        settings.token = try AccessToken(Array("secret".utf8), from: "here")
        try await Harness.run([], settings) { harness in
            let client = PlainClient(port: harness.port)
            for path in ["/", "/page/main.js"] {
                let open = try await client.execute(uri: path, method: .get)
                #expect(open.status == .ok, "\(path)")
                let rebound = try await client.execute(
                    uri: path, method: .get, host: "evil.example")
                #expect(rebound.status == .forbidden, "\(path)")
            }
            let metrics = try await client.execute(uri: "/metrics", method: .get)
            #expect(metrics.status == .unauthorized)
        }
    }
}
