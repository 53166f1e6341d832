// One request, one whole response, one connection: for answers that are no streams.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import NIOPosix
import Testing

struct PlainResponse {
    var status: HTTPResponse.Status
    var headers: HTTPFields
    var body: ByteBuffer
}

struct PlainClient: Sendable {
    let port: Int

    func execute(
        uri: String, method: HTTPRequest.Method, headers: HTTPFields = HTTPFields(),
        body: ByteBuffer = ByteBuffer(), host: String? = "localhost"
    ) async throws -> PlainResponse {
        var request = "\(method.rawValue) \(uri) HTTP/1.1\r\n"
        if let host { request += "Host: \(host)\r\n" }
        for field in headers { request += "\(field.name): \(field.value)\r\n" }
        request += "Content-Length: \(body.readableBytes)\r\nConnection: close\r\n\r\n"
        var bytes = ByteBuffer(string: request)
        bytes.writeImmutableBuffer(body)
        return try Self.parse(try await exchange(bytes))
    }

    /// The text of all answers to these bytes, until the server closes.
    func conversation(_ request: String) async throws -> String {
        String(buffer: try await exchange(ByteBuffer(string: request)))
    }

    /// What comes until the server closes.
    func exchange(_ request: ByteBuffer) async throws -> ByteBuffer {
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connect(host: "127.0.0.1", port: port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try NIOAsyncChannel<ByteBuffer, ByteBuffer>(
                        wrappingChannelSynchronously: channel)
                }
            }
        return try await channel.executeThenClose { inbound, outbound in
            try await outbound.write(request)
            var answer = ByteBuffer()
            for try await part in inbound { answer.writeImmutableBuffer(part) }
            return answer
        }
    }

    static func parse(_ answer: ByteBuffer) throws -> PlainResponse {
        let bytes = Array(answer.readableBytesView)
        let end = try #require(
            bytes.indices.first { bytes[$0...].starts(with: "\r\n\r\n".utf8) },
            "an answer without the end of its head")
        let lines = String(decoding: bytes[..<end], as: UTF8.self).split(separator: "\r\n")
        let code = try #require(lines.first?.split(separator: " ").dropFirst().first)
        var headers = HTTPFields()
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            let name = try #require(HTTPField.Name(String(parts[0])))
            headers.append(HTTPField(name: name, value: String(parts[1].dropFirst())))
        }
        return PlainResponse(
            status: HTTPResponse.Status(code: try #require(Int(code))), headers: headers,
            body: ByteBuffer(bytes: bytes[(end + 4)...]))
    }
}
