// The callback's URL, its body, and one request of it to servers that behave badly. Whole callbacks of the built program:
// test_callback.py of the end-to-end tests.
// SPDX-License-Identifier: Apache-2.0

import LlorchHTTP
import NIOCore
import NIOPosix
import Testing

@Suite(.timeLimit(.minutes(2))) struct CallbackTests {
    @Test func aURLIsUsedAsItStands() throws {
        let cases = [
            (
                "http://localhost:9200/v2/internal/workers/ready", "localhost", 9_200,
                "/v2/internal/workers/ready"
            ),
            ("http://a", "a", 80, "/"), ("http://a?x=/y", "a", 80, "/?x=/y"),
            ("HTTP://a.example:1/b%20c?d=e&f", "a.example", 1, "/b%20c?d=e&f"),
            ("http://[::1]:8080/", "::1", 8_080, "/"), ("http://10.0.0.7", "10.0.0.7", 80, "/"),
        ]
        for (text, host, port, target) in cases {
            let url = try #require(CallbackURL(text), "\(text)")
            #expect(url.text == text && url.host == host && url.port == port)
            #expect(url.target == target)
        }
        #expect(CallbackURL("http://[::1]:8080/")?.authority == "[::1]:8080")
        #expect(CallbackURL("http://localhost:9999/x")?.isSkipped == true)
        #expect(CallbackURL("http://localhost:9998/x")?.isSkipped == false)
        #expect(CallbackURL("http://a/b?token=secret")?.shown == "http://a/b?…")
    }

    @Test(arguments: [
        "", "a", "https://a", "http:/a", "http://", "http://:80", "http://a:", "http://a:x",
        "http://a:70000", "http://u@a", "http://u:p@a", "http://a/#", "http://a /", "http://a\r\nb",
        "http://ä", "http://[::1", "http://[zz]/",
        "http://a/" + String(repeating: "b", count: 2_048),
    ])
    func anotherURLIsNone(text: String) {
        #expect(CallbackURL(text) == nil)
    }

    @Test func theBodyHasTheMembersOfAllReaders() {
        let payload = ReadyPayload(
            workerID: "w\"1", modelReference: "m", memoryBytes: 7, uri: "http://localhost:1")
        #expect(
            String(decoding: payload.json, as: UTF8.self) == """
                {"worker_id":"w\\"1","model_ref":"m","vram_bytes":0,"memory_bytes":7,\
                "memory_architecture":"cpu","worker_type":"cpu","capabilities":["text-gen"],\
                "uri":"http://localhost:1"}
                """)
    }

    @Test func aStatusIsTakenWithoutWaitingForTheBody() async throws {
        let answers: [(String, UInt)] = [
            ("HTTP/1.1 204 No Content\r\n\r\n", 204),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\n", 201),
            ("HTTP/1.0 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", 302),
            ("HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n5", 503),
        ]
        for (answer, status) in answers {
            let seen = try await Self.post(to: answer, closes: false, within: .seconds(60))
            #expect(seen == status)
        }
    }

    @Test(arguments: [
        ("", true, "closed without an answer"), ("nonsense\r\n\r\n", false, "no valid HTTP"),
        ("HTTP/1.1 200", true, "the"),
        ("HTTP/1.1 200 OK\r\nX: " + String(repeating: "a", count: 100_000), false, ""),
    ])
    func whatIsNoAnswerIsAFailure(answer: String, closes: Bool, words: String) async throws {
        let failure = await #expect(throws: CallbackFailure.self) {
            try await Self.post(to: answer, closes: closes, within: .seconds(60))
        }
        let text = failure?.description ?? ""
        #expect(text.contains(words) && !text.contains("no answer within"), "\(text)")
    }

    @Test func aServerThatSaysNothingIsGivenUp() async throws {
        let failure = await #expect(throws: CallbackFailure.self) {
            try await Self.post(to: "", closes: false, within: .milliseconds(200))
        }
        #expect(failure?.description == "no answer within 200 ms")
    }

    /// Posts to a server that answers a connection with these bytes as soon as a request begins.
    private static func post(
        to answer: String, closes: Bool, within limit: Duration
    ) async throws -> UInt {
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Answering(answer, closes))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = server.localAddress?.port ?? 0
        let url = try #require(CallbackURL("http://127.0.0.1:\(port)/ready"))
        let result: Result<UInt, CallbackFailure>
        do throws(CallbackFailure) {
            result = .success(try await CallbackRequest.post([0x7B, 0x7D], to: url, within: limit))
        } catch {
            result = .failure(error)
        }
        try await server.close()
        return try result.get()
    }
}

private final class Answering: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let answer: String
    private let closes: Bool
    private var isAnswered = false

    init(_ answer: String, _ closes: Bool) {
        self.answer = answer
        self.closes = closes
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isAnswered else { return }
        isAnswered = true
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: answer)), promise: nil)
        if closes { context.close(promise: nil) }
    }
}
