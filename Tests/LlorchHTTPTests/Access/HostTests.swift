// Which names in `Host` are answered: a page in a browser that has its own name point here must not be.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import LlorchHTTP
import LlorchJSON
import LlorchProtocol
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(1))) struct HostTests {
    private func statuses(
        of hosts: [String?], allowing names: [String] = [], path: String = "/livez",
        method: HTTPRequest.Method = .get
    ) async throws -> [Int] {
        var settings = Harness.Settings()
        settings.allowedHosts = names
        let found = Statuses()
        try await Harness.run([], settings) { harness in
            let client = PlainClient(port: harness.port)
            for host in hosts {
                let response = try await client.execute(uri: path, method: method, host: host)
                await found.append(response)
            }
        }
        return await found.responses.map(\.status.code)
    }

    private actor Statuses {
        var responses: [PlainResponse] = []

        func append(_ response: PlainResponse) { responses.append(response) }
    }

    @Test func localNamesAndNumericAddressesAreAnswered() async throws {
        let hosts = [
            "localhost", "localhost:3000", "LOCALHOST", "localhost.", "127.0.0.1", "127.0.0.1:80",
            "10.1.2.3:3000", "[::1]", "[::1]:3000", "[fe80::1]",
        ]
        #expect(try await statuses(of: hosts) == hosts.map { _ in 200 })
    }

    @Test func otherNamesAreRefused() async throws {
        let hosts = [
            "evil.example", "evil.example:3000", "localhost.evil.example", "127.0.0.1.evil.example",
            "1.2.3", "1.2.3.4.5", "127.0.0.256", "2130706433", "localhosts", "%6cocalhost",
        ]
        #expect(try await statuses(of: hosts) == hosts.map { _ in 403 })
    }

    /// RFC 9112, section 3.2.
    @Test func whatIsNoHostIsABadRequest() async throws {
        let hosts: [String?] = [
            "127.0.0.1:3000.evil.example", "[evil.example]", "[::1", "[::1]evil", "localhost:x",
            "evil@localhost", "localhost, localhost", "a b", "localhost/", "", nil,
        ]
        #expect(try await statuses(of: hosts) == hosts.map { _ in 400 })
    }

    /// Browsers speak HTTP/1.1 at least, and send the page's host: a request without any is no page's.
    @Test func onlyQuestionsOfHTTP10MayLackAHost() async throws {
        try await Harness.run([]) { harness in
            let client = PlainClient(port: harness.port)
            for (line, fields, status) in [
                ("GET /livez", "", 200), ("HEAD /livez", "Host:\r\n", 200),
                ("GET /health", "", 503), ("GET http://localhost/health", "", 503),
                ("GET /metrics", "", 403), ("POST /livez", "", 403), ("POST /cancel/a", "", 403),
                ("GET /livez", "Host: evil.example\r\n", 403),
                ("GET http://evil.example/livez", "", 403),
                ("GET /livez", "Host: a\r\nHost: a\r\n", 400),
            ] {
                let answer = try await client.conversation("\(line) HTTP/1.0\r\n\(fields)\r\n")
                #expect(answer.hasPrefix("HTTP/1.1 \(status) "), "\(line) \(fields)")
            }
        }
    }

    /// RFC 9112, section 3.2.2: the target's host counts.
    @Test func anAbsoluteTargetNamesTheHost() async throws {
        let targets = [
            "http://localhost/livez", "HTTP://127.0.0.1:1?x", "http://evil.example/livez",
        ]
        var found: [Int] = []
        for target in targets {
            found += try await statuses(of: ["localhost"], path: target)
        }
        #expect(found == [200, 200, 403])
        let mixed = try await statuses(of: ["evil.example"], path: "http://localhost/livez")
        #expect(mixed == [200])
    }

    @Test(arguments: [
        ("/execute", HTTPRequest.Method.post), ("/cancel", .post), ("/cancel/a", .post),
        ("/health", .get), ("/nowhere", .get), ("/health", .post),
    ])
    func everyPathIsGuarded(path: String, method: HTTPRequest.Method) async throws {
        #expect(
            try await statuses(of: ["evil.example"], path: path, method: method) == [403])
    }

    @Test func allowedNamesAreAnswered() async throws {
        let hosts = ["llorch.example", "LLORCH.example:443", "other.example"]
        #expect(
            try await statuses(of: hosts, allowing: ["Llorch.Example"]) == [200, 200, 403])
    }

    @Test func theRefusalSaysWhatToDo() async throws {
        try await Harness.run([]) { harness in
            let response = try await PlainClient(port: harness.port).execute(
                uri: "/health", method: .get, host: "evil.example")
            let body = try StrictJSON.parse(Array(response.body.readableBytesView), limits: .http)
            let error = try #require(body.asObject?["errors"]?.asArray?.first?.asObject)
            #expect(error["field"]?.asString == "host")
            #expect(error["value"]?.asString == "evil.example")
            #expect(error["message"]?.asString?.contains("--allowed-host") == true)
        }
    }
}
