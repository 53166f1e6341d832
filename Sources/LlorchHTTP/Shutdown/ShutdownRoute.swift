// POST /shutdown: the drain that SIGTERM begins, asked for over HTTP. Only a server with a token has it, because whoever
// reaches a server without one could end it.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
package import HummingbirdCore
import LlorchJSON
import LlorchLog
import LlorchProtocol
import Logging
import NIOCore
import ServiceLifecycle

/// Ends, as a service, when a client asks for the shutdown; the group of services then ends too.
package struct ShutdownRoute: Service, CustomStringConvertible {
    /// Whether the path exists.
    let isAllowed: Bool
    private let asked = AsyncStream<Void>.makeStream()

    /// Bytes of a body that may be an empty object with white space.
    private static let maximumBytes = 1_024

    package var description: String { "ShutdownRoute" }

    package init(isAllowed: Bool) {
        self.isAllowed = isAllowed
    }

    package func run() async throws {
        for await _ in asked.stream.cancelOnGracefulShutdown() { return }
    }

    /// Answers 202 to an empty body and to `{}`; the drain begins at once.
    package func respond(
        to request: Request, context: RequestContext
    ) async throws -> Response {
        var body: [UInt8] = []
        do {
            body = Array(buffer: try await request.body.collect(upTo: Self.maximumBytes))
        } catch is NIOTooManyBytesError {
            throw Refusal(
                .contentTooLarge, constraint: "max_bytes(\(Self.maximumBytes))",
                "length limit exceeded: the body may have at most \(Self.maximumBytes) bytes")
        }
        guard Self.isEmpty(body) else {
            throw Refusal(
                .badRequest, constraint: "empty", "the body must be empty or an empty object, {}")
        }
        context.logger.notice("shutdown asked", metadata: .of(.shutdown))
        asked.continuation.yield()
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("status", "shutting_down")
        writer.endObject()
        return Response(
            status: .accepted, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: writer.bytes)))
    }

    private static func isEmpty(_ body: [UInt8]) -> Bool {
        let isSpace: (UInt8) -> Bool = { [0x20, 0x09, 0x0a, 0x0d].contains($0) }
        if body.allSatisfy(isSpace) { return true }
        guard let object = (try? StrictJSON.parse(body.span, limits: .http))?.asObject else {
            return false
        }
        return object.members.isEmpty
    }
}
