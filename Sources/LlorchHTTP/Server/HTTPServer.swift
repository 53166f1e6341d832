// HTTP/1.1 connections over HummingbirdCore: a request comes in, a response goes out. Which response is not
// decided here but by a closure: ShimResponder.swift. What a connection may do: Connection.swift.
// SPDX-License-Identifier: Apache-2.0

package import HTTPTypes
package import HummingbirdCore
import LlorchSystem
package import Logging
package import NIOCore
import NIOHTTP1
import NIOPosix
import ServiceLifecycle

/// Listens, answers, and closes each connection after its last response at the shutdown.
package struct HTTPServer: Service, CustomStringConvertible {
    package typealias Respond = @Sendable (Request, any Channel) async throws -> Response
    /// The answer to a request that is no valid HTTP, as headers and body; with the request's target if it is known.
    package typealias Refuse = @Sendable (Refusal, String?) -> (HTTPFields, [UInt8])

    /// Where the server listens, and its limits.
    package struct Options: Sendable {
        package var host: String
        /// Port 0 lets the system choose.
        package var port: Int
        package var limits: ConnectionLimits
        package var maximumConnections: Int

        package init(
            host: String, port: Int, limits: ConnectionLimits, maximumConnections: Int
        ) {
            self.host = host
            self.port = port
            self.limits = limits
            self.maximumConnections = maximumConnections
        }
    }

    private let options: Options
    private let counts: ConnectionCounts
    private let logger: Logger
    private let beforeListening: @Sendable () async throws -> Void
    private let onListening: @Sendable (Int) -> Void
    private let respond: Respond
    private let refuse: Refuse

    /// Linux's own limit.
    ///
    /// A connection beyond it is tried again by its client a second later.
    private static let backlog = 4_096

    package var description: String { "HTTPServer" }

    /// `onListening` is given the port.
    package init(
        _ options: Options, counts: ConnectionCounts, logger: Logger,
        beforeListening: @escaping @Sendable () async throws -> Void,
        onListening: @escaping @Sendable (Int) -> Void, respond: @escaping Respond,
        refuse: @escaping Refuse
    ) {
        self.options = options
        self.counts = counts
        self.logger = logger
        self.beforeListening = beforeListening
        self.onListening = onListening
        self.respond = respond
        self.refuse = refuse
    }

    package func run() async throws {
        try await beforeListening()
        let date = HTTPDate()
        let connections = Connections(
            limits: options.limits,
            answer: { [refuse] refusal, target in
                Self.answer(refusal, target, refuse, date)
            },
            responder: { [respond, logger] request, writer, channel in
                var response: Response
                do {
                    response = try await respond(request, channel)
                } catch let error as RequestAborted {
                    throw error
                } catch {
                    logger.debug("no response", metadata: ["reason": "\(error)"])
                    response = Response(status: .internalServerError)
                }
                response.headers[.date] = date.text
                try await writer.write(response: response.head, body: response.body)
            })
        let server = connections.server(
            configuration: ServerConfiguration(
                address: .hostname(options.host, port: options.port), backlog: Self.backlog),
            onServerRunning: { [options, counts, logger, onListening] channel in
                do {
                    try await channel.eventLoop.submit {
                        try channel.pipeline.syncOperations.addHandler(
                            AcceptGuard(
                                limit: options.maximumConnections, counts: counts, logger: logger),
                            position: .first)
                    }.get()
                } catch {
                    logger.error("accepting is not guarded", metadata: ["reason": "\(error)"])
                }
                onListening(channel.localAddress?.port ?? 0)
            },
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton, logger: logger)
        try await server.run()
    }

    private static func answer(
        _ refusal: Refusal, _ target: String?, _ refuse: Refuse, _ date: HTTPDate
    ) -> (HTTPResponseHead, ByteBuffer) {
        let (fields, body) = refuse(refusal, target)
        var headers = HTTPHeaders()
        for field in fields { headers.add(name: field.name.rawName, value: field.value) }
        headers.add(name: "content-length", value: "\(body.count)")
        headers.add(name: "date", value: date.text)
        let status = HTTPResponseStatus(
            statusCode: refusal.status.code, reasonPhrase: refusal.status.reasonPhrase)
        return (
            HTTPResponseHead(version: .http1_1, status: status, headers: headers),
            ByteBuffer(bytes: body)
        )
    }
}
