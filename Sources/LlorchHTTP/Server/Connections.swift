// What each accepted connection is made of: NIO's parser and HummingbirdCore's loop over requests, with this
// server's own handlers between them. What they do: Connection.swift.
// SPDX-License-Identifier: Apache-2.0

import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1

struct Connections: ServerChildChannel {
    typealias Value = HTTP1Channel.Value

    private let requests: HTTP1Channel
    private let limits: ConnectionLimits
    private let answer: Connection.Answer

    init(
        limits: ConnectionLimits, answer: @escaping Connection.Answer,
        responder: @escaping HTTPChannelHandler.Responder
    ) {
        self.limits = limits
        self.answer = answer
        requests = HTTP1Channel(
            responder: responder,
            configuration: .init(
                additionalChannelHandlers: [InboundCloseHandler()],
                idleTimeout: TimeAmount(limits.idleTime),
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: limits.fieldBytes, maxHeaderListSize: limits.headBytes,
                    maxHeaderFieldCount: limits.fields)))
    }

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        requests.setup(channel: channel, logger: logger).flatMapThrowing { value in
            try install(in: channel.pipeline.syncOperations)
            return value
        }
    }

    private func install(in pipeline: ChannelPipeline.SynchronousOperations) throws {
        // NIO's encoder sends chunks to every version; framing is Connection's, which knows the version.
        var configuration = HTTPResponseEncoder.Configuration()
        configuration.automaticallySetFramingHeaders = false
        let encoder = try pipeline.handler(type: HTTPResponseEncoder.self)
        try pipeline.addHandler(
            HTTPResponseEncoder(configuration: configuration), position: .after(encoder))
        _ = pipeline.removeHandler(encoder)
        let connection = Connection(limits: limits, answer: answer)
        let parser = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
        try pipeline.addHandler(connection, position: .after(parser))
        try pipeline.addHandler(InputGate(connection), position: .first)
    }

    func handle(value: Value, logger: Logger) async {
        await requests.handle(value: value, logger: logger)
    }
}
