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
        let hosts: [String?] = [
            "evil.example", "evil.example:3000", "localhost.evil.example", "127.0.0.1.evil.example",
            "127.0.0.1:3000.evil.example", "1.2.3", "1.2.3.4.5", "127.0.0.256", "2130706433",
            "[evil.example]", "[::1", "[::1]evil", "localhost:x", "evil@localhost", "localhosts",
            "",
            nil,
        ]
        // A request of HTTP/1.1 without Host may be refused before it comes as far as here.
        let found = try await statuses(of: hosts)
        #expect(found.dropLast() == hosts.dropLast().map { _ in 403 })
        #expect([400, 403].contains(found.last))
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
