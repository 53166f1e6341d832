// An HTTP client that sees a response as it arrives and can leave in the middle.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import NIOCore
import NIOPosix

/// One connection to the shim.
final class StreamingClient {
    struct Cut: Error {}

    private(set) var status = 0
    private(set) var headers: [String: String] = [:]
    private(set) var parser = EventStreamParser()
    private var inbound: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator
    private let outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    private var bytes: [UInt8] = []
    private var events: [ParsedEvent] = []
    private var isEnded = false

    /// Sends a request and reads up to the end of its head; leaves when `body` returns.
    static func post<Value>(
        _ path: String, _ json: String, port: Int, headers: [String] = [],
        _ body: (StreamingClient) async throws -> Value
    ) async throws -> Value {
        try await send(request(path, json, headers), port, body)
    }

    private static func request(_ path: String, _ json: String, _ headers: [String]) -> String {
        let lines =
            [
                "POST \(path) HTTP/1.1", "Host: localhost", "Content-Type: application/json",
                "Content-Length: \(json.utf8.count)",
            ] + headers + ["", json]
        return lines.joined(separator: "\r\n")
    }

    static func get<Value>(
        _ path: String, port: Int, _ body: (StreamingClient) async throws -> Value
    ) async throws -> Value {
        try await send(request(path), port, body)
    }

    private static func request(_ path: String) -> String {
        "GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n"
    }

    private static func send<Value>(
        _ request: String, _ port: Int, _ body: (StreamingClient) async throws -> Value
    ) async throws -> Value {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
                        wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            let client = StreamingClient(inbound.makeAsyncIterator(), outbound)
            try await client.send(request)
            return try await body(client)
        }
    }

    private init(
        _ inbound: NIOAsyncChannelInboundStream<ByteBuffer>.AsyncIterator,
        _ outbound: NIOAsyncChannelOutboundWriter<ByteBuffer>
    ) {
        self.inbound = inbound
        self.outbound = outbound
    }

    /// Another request on the same connection, after the last response was read to its end.
    func post(_ path: String, _ json: String) async throws {
        try await send(Self.request(path, json, []))
    }

    func get(_ path: String) async throws {
        try await send(Self.request(path))
    }

    private func send(_ request: String) async throws {
        (status, headers, parser, isEnded) = (0, [:], EventStreamParser(), false)
        try await outbound.write(ByteBuffer(string: request))
        try await readHead()
    }

    /// The next event, nil after the last chunk.
    func event() async throws -> ParsedEvent? {
        while events.isEmpty {
            guard let chunk = try await chunk() else { return nil }
            events += try parser.take(chunk)
        }
        return events.removeFirst()
    }

    /// Reads on until a comment has come.
    func comment() async throws {
        let before = parser.comments
        while parser.comments == before {
            guard let chunk = try await chunk() else { throw Cut() }
            events += try parser.take(chunk)
        }
    }

    func rest() async throws -> [ParsedEvent] {
        var all: [ParsedEvent] = []
        while let event = try await event() { all.append(event) }
        return all
    }

    /// All of a body that is no stream.
    func plainBody() async throws -> String {
        let length = headers["content-length"].flatMap(Int.init) ?? 0
        while bytes.count < length { try await more() }
        defer { bytes.removeFirst(length) }
        return String(decoding: bytes.prefix(length), as: UTF8.self)
    }

    private func readHead() async throws {
        while !bytes.contains(subsequence: Array("\r\n\r\n".utf8)) { try await more() }
        while let line = takeLine(), !line.isEmpty {
            if status == 0 {
                status = line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? -1
            } else {
                let parts = line.split(separator: ":", maxSplits: 1)
                headers[parts[0].lowercased()] = String(parts[1].dropFirst())
            }
        }
    }

    private func chunk() async throws -> [UInt8]? {
        if isEnded { return nil }
        var line = takeLine()
        while line == nil {
            try await more()
            line = takeLine()
        }
        guard let size = Int(line ?? "", radix: 16) else { throw Cut() }
        while bytes.count < size + 2 { try await more() }
        let chunk = Array(bytes.prefix(size))
        bytes.removeFirst(size + 2)
        isEnded = size == 0
        return isEnded ? nil : chunk
    }

    private func takeLine() -> String? {
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        let line = String(decoding: bytes[..<end], as: UTF8.self)
        bytes.removeSubrange(...end)
        return line.hasSuffix("\r") ? String(line.dropLast()) : line
    }

    private func more() async throws {
        guard let buffer = try await inbound.next(isolation: #isolation) else { throw Cut() }
        bytes += buffer.readableBytesView
    }
}

extension [UInt8] {
    fileprivate func contains(subsequence: [UInt8]) -> Bool {
        count >= subsequence.count
            && indices.dropLast(subsequence.count - 1).contains {
                self[$0..<($0 + subsequence.count)].elementsEqual(subsequence)
            }
    }
}
