// Whole conversations over one connection, byte by byte: what RFC 9110 and 9112 demand beyond one request and
// its answer. Each ends because the server closes. With other clients: Tests/EndToEndTests/test_http_clients.py.
// SPDX-License-Identifier: Apache-2.0

import LlorchHTTP
import LlorchProtocol
import NIOCore
import NIOPosix
import Testing

@Suite(.timeLimit(.minutes(2))) struct ConversationTests {
    struct Case: Sendable {
        var name: String
        var sent: String
        /// Statuses of the answers, up to the end of the connection.
        var statuses: [Int]

        init(_ name: String, _ sent: String, _ statuses: [Int]) {
            self.name = name
            self.sent = sent
            self.statuses = statuses
        }

        /// A request of HTTP/1.1 for `/livez` with these lines in its head.
        static func get(_ name: String, _ lines: String, _ statuses: [Int]) -> Case {
            Case(name, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\(lines)\r\n", statuses)
        }

        /// A request for `/cancel` with these lines in its head, and a body.
        static func post(_ name: String, _ lines: String, _ body: String, _ statuses: [Int]) -> Case
        {
            Case(
                name,
                "POST /cancel HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                    + "\(lines)\r\n\(body)", statuses)
        }
    }

    private static func statuses(_ answer: String) -> [Int] {
        answer.split(separator: "HTTP/1.1 ", omittingEmptySubsequences: true)
            .compactMap { Int($0.prefix(3)) }
    }

    static let last = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    static let body = #"{"job_id":"a"}"#
    static let long = String(repeating: "a", count: 20_000)
    static let cases: [Case] = [
        .get("Connection: close", "Connection: close\r\n", [200]),
        .get("close in a list of any case", "Connection: x, Close\r\n", [200]),
        .get("then another", "\r\n" + last, [200, 200]),
        Case("line ends first", "\r\n\r\n" + last, [200]),
        Case(
            "many at once", String(repeating: last.replacing("close", with: "x"), count: 20) + last,
            Array(repeating: 200, count: 21)),
        .get("a broken one behind", "\r\nBROKEN\r\n\r\n", [200, 400]),
        Case("HTTP/1.0", "GET /livez HTTP/1.0\r\n\r\n", [200]),
        Case(
            "HTTP/1.0 kept",
            "GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
                + "GET /livez HTTP/1.0\r\n\r\n", [200, 200]),
        Case("HTTP/1.2", "GET / HTTP/1.2\r\nHost: localhost\r\n\r\n", [505]),
        Case("HTTP/2 by preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}", [505]),
        Case("HTTP/0.9", "GET /livez\r\n\r\n", [400]),
        Case("TLS", "\u{16}\u{3}\u{1}\u{0}\u{5}\u{1}\u{0}\u{0}\u{1}\u{3}", [400]),
        Case("an unknown method", "BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n", [501]),
        Case("small letters", "get / HTTP/1.1\r\nHost: localhost\r\n\r\n", [501]),
        Case("CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", [501]),
        .get("two hosts", "Host: localhost\r\n", [400]),
        .get("a space before the colon", "X : a\r\n", [400]),
        .get("a folded line", "X: a\r\n b\r\n", [400]),
        .get("no colon", "X\r\n", [400]),
        .get("a long header", "X: \(long)\r\n", [431]),
        .get("many headers", String(repeating: "X: a\r\n", count: 300), [431]),
        .get("white space without end", "X:" + String(repeating: " ", count: 100_000), [431]),
        Case("a long target", "GET /\(long) HTTP/1.1\r\nHost: localhost\r\n\r\n", [414]),
        Case("a fragment", "GET /livez#a HTTP/1.1\r\nHost: localhost\r\n\r\n", [400]),
        Case("no path", "GET livez HTTP/1.1\r\nHost: localhost\r\n\r\n", [400]),
        Case(
            "the server itself",
            "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            [204]),
        Case("a star for GET", "GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", [400]),
        Case("https", "GET https://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", [421]),
        Case(
            "letters in percent",
            "GET /%6civez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            [200]),
        Case(
            "two slashes", "GET //livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            [404]),
        .get("another protocol", "Connection: Upgrade\r\nUpgrade: h2c\r\n", [200]),
        .get("a body that GET does not need", "Content-Length: 3\r\n\r\nabc" + last, [200, 200]),
        .post("two lengths", "Content-Length: 14\r\nContent-Length: 14\r\n", body, [400]),
        .post("a list of lengths", "Content-Length: 14, 14\r\n", body, [400]),
        .post("a sign", "Content-Length: +14\r\n", body, [400]),
        .post("a length without end", "Content-Length: 99999999999999999999999\r\n", body, [400]),
        .post("a length beyond all", "Content-Length: 9999999999999999999\r\n", body, [413]),
        .post(
            "length and chunks", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\n" + last, [400]),
        .post(
            "chunks and length", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "0\r\n\r\n" + last, [400]),
        .post("an unknown coding", "Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n", [501]),
        .post("chunks last", "Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n", [400]),
        .post(
            "chunks with extensions and trailers", "Transfer-Encoding: Chunked\r\n",
            "6;a=b;c=\"d\"\r\n{\"job_\r\n8\r\nid\":\"a\"}\r\n0\r\nX: y\r\n\r\n" + last, [202, 200]),
        .post("a chunk of no length", "Transfer-Encoding: chunked\r\n", "zz\r\n", [400]),
        .post(
            "a chunk that goes on", "Transfer-Encoding: chunked\r\n", "1\r\n{}\r\n0\r\n\r\n", [400]),
        Case(
            "chunks in HTTP/1.0",
            "POST /cancel HTTP/1.0\r\nHost: localhost\r\n"
                + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", [400]),
        .post("an expectation", "Expect: tea\r\nContent-Length: 14\r\n", body, [417]),
        .post(
            "100-continue", "Expect: 100-Continue\r\nContent-Length: 14\r\nConnection: close\r\n",
            body,
            [202]),
        .post(
            "100-continue of too much", "Expect: 100-continue\r\nContent-Length: 5000000\r\n", "",
            [413]),
        Case(
            "100-continue to nowhere",
            "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n"
                + "Expect: 100-continue\r\n\r\n", [404]),
        Case(
            "a body to nowhere",
            "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc",
            [404]),
    ]

    /// One server for all: what a client does must not change what the next one hears.
    @Test func answers() async throws {
        try await Harness.run([]) { harness in
            let client = PlainClient(port: harness.port)
            for example in Self.cases {
                let answer = try await client.conversation(example.sent)
                #expect(Self.statuses(answer) == example.statuses, "\(example.name): \(answer)")
                let lines = answer.lowercased().split(separator: "\r\n")
                let closings = lines.filter { $0 == "connection: close" }
                #expect(
                    closings.count == 1, "\(example.name): the last answer says that it is that")
                let dates = lines.filter { $0.hasPrefix("date: ") }
                #expect(dates.count == example.statuses.count, "\(example.name)")
            }
        }
    }

    @Test func aRefusalSpeaksJSONAndIsCounted() async throws {
        try await Harness.run([]) { harness in
            let client = PlainClient(port: harness.port)
            let answer = try await client.conversation("GET / HTTP/3.0\r\n\r\n")
            let lowercased = answer.lowercased()
            #expect(lowercased.contains("content-type: application/json\r\n"))
            #expect(lowercased.contains("x-correlation-id: "))
            #expect(answer.contains(#"{"errors":[{"field":"version","constraint":"HTTP/1.1","#))
            let refusals = harness.shim.queue.metrics.totals.refusals
            #expect(refusals[.invalidRequest] == 1)
        }
    }

    @Test func aHEADHasNoBodyWhateverTheAnswer() async throws {
        try await Harness.run([]) { harness in
            let client = PlainClient(port: harness.port)
            for (target, host, status) in [
                ("/health", "localhost", 503), ("/metrics", "localhost", 200),
                ("/execute", "localhost", 405), ("/health", "evil.example", 403), ("*", "a", 400),
            ] {
                let answer = try await client.conversation(
                    "HEAD \(target) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n")
                #expect(Self.statuses(answer) == [status])
                #expect(
                    answer.hasSuffix("\r\n\r\n") && answer.lowercased().contains("content-length:"))
            }
        }
    }

    // MARK: - Streams

    @Test(arguments: ["1.0", "1.1"]) func aStreamIsFramedAsTheVersionKnows(version: String)
        async throws
    {
        try await Harness.run([{ _ in Script(pieces: ["a", "b"]) }]) { harness in
            let body = Harness.job("v")
            let answer = try await PlainClient(port: harness.port).conversation(
                "POST /execute HTTP/\(version)\r\nHost: localhost\r\nConnection: close\r\n"
                    + "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
                    + body)
            let isChunked = answer.contains("transfer-encoding: chunked\r\n")
            #expect(isChunked == (version == "1.1"))
            #expect(answer.contains("event: end\n"))
            #expect(answer.hasSuffix(isChunked ? "\r\n0\r\n\r\n" : "}\n\n"))
        }
    }

    @Test func requestsBehindAStreamWaitForItsEnd() async throws {
        try await Harness.run([{ _ in Script(pieces: ["a", "b"]) }]) { harness in
            let body = Harness.job("v")
            let answer = try await PlainClient(port: harness.port).conversation(
                "POST /execute HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                    + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)\(Self.last)")
            let parts = answer.split(separator: "\r\n0\r\n\r\n")
            #expect(parts.count == 2)
            #expect(parts.first?.contains("event: end\n") == true)
            #expect(parts.last?.hasPrefix("HTTP/1.1 200 OK\r\n") == true)
        }
    }

    // MARK: - Limits

    @Test func aHeadThatDoesNotEndIsGivenUp() async throws {
        var settings = Harness.Settings()
        settings.connections.headTime = .milliseconds(100)
        try await Harness.run([], settings) { harness in
            let answer = try await PlainClient(port: harness.port).conversation(
                "GET /livez HTTP/1.1\r\n")
            #expect(Self.statuses(answer) == [408])
        }
    }

    @Test(arguments: ["Content-Length: 14\r\n", "Transfer-Encoding: chunked\r\n"])
    func aBodyThatDoesNotEndIsGivenUp(framing: String) async throws {
        var settings = Harness.Settings()
        settings.connections.bodyTime = .milliseconds(100)
        try await Harness.run([], settings) { harness in
            let answer = try await PlainClient(port: harness.port).conversation(
                "POST /cancel HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                    + framing + "\r\n")
            #expect(Self.statuses(answer) == [408])
        }
    }

    /// Without the limit this client's connection would last as long as the client.
    @Test func aClientThatTakesNoAnswersIsGivenUp() async throws {
        var settings = Harness.Settings()
        settings.connections.bodyTime = .milliseconds(100)
        try await Harness.run([], settings) { harness in
            let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .channelOption(.autoRead, value: false)
                .connect(host: "127.0.0.1", port: harness.port).get()
            let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
            channel.writeAndFlush(
                ByteBuffer(string: String(repeating: request, count: 4_000)), promise: nil)
            try await eventually { harness.shim.connections.now.open == 1 }
            try await eventually { harness.shim.connections.now.open == 0 }
            try? await channel.close().get()
        }
    }

    /// The whole body goes out before anything is read, as many clients do it.
    @Test(arguments: ["", "Connection: close\r\n", "Expect: 100-continue\r\n"])
    func aBodyThatIsNotReadHidesNoAnswer(field: String) async throws {
        try await Harness.run([]) { harness in
            var request = ByteBuffer(
                string:
                    "POST /execute HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                    + "Content-Length: 20000000\r\n\(field)\r\n")
            request.writeRepeatingByte(0x20, count: 20_000_000)
            let answer = try await PlainClient(port: harness.port).exchange(request)
            #expect(Self.statuses(String(buffer: answer)) == [413])
        }
    }

    @Test func whatFollowsTheLastAnswerIsReadUpToALimit() async throws {
        var settings = Harness.Settings()
        settings.connections.lingerBytes = 1 << 20
        settings.connections.lingerTime = .seconds(600)
        settings.connections.lingerQuiet = .seconds(600)
        try await Harness.run([], settings) { harness in
            let client = PlainClient(port: harness.port)
            // Without the limit the server would wait for more, longer than this test may take.
            var request = ByteBuffer(string: "BROKEN\r\n\r\n")
            request.writeRepeatingByte(0x20, count: 40_000_000)
            _ = try? await client.exchange(request)
            let next = try await client.conversation(Self.last)
            #expect(next.hasPrefix("HTTP/1.1 200"))
        }
    }

    @Test func connectionsBeyondTheLimitWaitForOthersToLeave() async throws {
        var settings = Harness.Settings()
        settings.maximumConnections = 2
        try await Harness.run([], settings) { harness in
            let group = MultiThreadedEventLoopGroup.singleton
            var held: [any Channel] = []
            for _ in 0..<2 {
                held.append(
                    try await ClientBootstrap(group: group)
                        .connect(host: "127.0.0.1", port: harness.port).get())
            }
            let counts = harness.shim.connections
            try await eventually { counts.now.open == 2 }
            #expect(counts.now.pauses[.connections] == 1)
            async let answer = PlainClient(port: harness.port).conversation(Self.last)
            try await held.removeLast().close().get()
            let text = try await answer
            #expect(text.hasPrefix("HTTP/1.1 200"))
            for channel in held { try await channel.close().get() }
        }
    }
}
