// HTTP/1.1 connections over HummingbirdCore: a request comes in, a response goes out. Which response is not
// decided here but by a closure: ShimResponder.swift.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
package import HummingbirdCore
package import Logging
package import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle

/// Listens, answers, and closes each connection after its last response at the shutdown.
package struct HTTPServer: Service, CustomStringConvertible {
    package typealias Respond = @Sendable (Request, any Channel) async throws -> Response

    /// A response cannot be followed by another one where its request turned out not to be HTTP.
    private struct RequestBroke: Error {}

    private let host: String
    private let port: Int
    private let logger: Logger
    private let beforeListening: @Sendable () async throws -> Void
    private let onListening: @Sendable (Int) -> Void
    private let respond: Respond

    /// Connections between requests, and requests that do not come to an end, are closed after this time.
    private static let idleTimeout = TimeAmount.seconds(60)
    /// Linux's own limit.
    ///
    /// A connection beyond it is tried again by its client a second later.
    private static let backlog = 4_096

    package var description: String { "HTTPServer" }

    /// Port 0 lets the system choose; `onListening` is given the port.
    package init(
        host: String, port: Int, logger: Logger,
        beforeListening: @escaping @Sendable () async throws -> Void,
        onListening: @escaping @Sendable (Int) -> Void, respond: @escaping Respond
    ) {
        self.host = host
        self.port = port
        self.logger = logger
        self.beforeListening = beforeListening
        self.onListening = onListening
        self.respond = respond
    }

    package func run() async throws {
        try await beforeListening()
        let date = HTTPDate()
        let connections = HTTP1Channel(
            responder: { [respond, logger] request, writer, channel in
                var response: Response
                do {
                    response = try await respond(request, channel)
                } catch let error as HTTPParserError {
                    // HummingbirdCore answers 400 and closes.
                    throw error
                } catch {
                    logger.debug("no response", metadata: ["reason": "\(error)"])
                    response = Response(status: .internalServerError)
                }
                response.headers[.date] = date.text
                do {
                    try await writer.write(response: response.head, body: response.body)
                } catch is HTTPParserError {
                    throw RequestBroke()
                }
            },
            configuration: .init(
                additionalChannelHandlers: [InboundCloseHandler()], idleTimeout: Self.idleTimeout))
        let server = connections.server(
            configuration: ServerConfiguration(
                address: .hostname(host, port: port), backlog: Self.backlog),
            onServerRunning: { [onListening] in onListening($0.localAddress?.port ?? 0) },
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: logger)
        try await server.run()
    }
}
