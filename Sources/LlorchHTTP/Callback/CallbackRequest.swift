// One POST over HTTP/1.1 and its status: no redirect is followed, and neither the size nor the time of an answer is
// without a bound. What is sent, and what follows from the status: ReadyCallback.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchSystem
import NIOCore
import NIOHTTP1
import NIOPosix

/// Why a request has no status, in words for the log.
package struct CallbackFailure: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}

package enum CallbackRequest {
    /// What a callback may take from the connection to the status.
    package static let timeLimit = Duration.seconds(5)
    /// Bytes of an answer before its status is known.
    static let maximumBytes = 64 << 10

    /// Sends `body` to `url` and gives the status of the answer.
    package static func post(
        _ body: [UInt8], to url: CallbackURL, within limit: Duration = timeLimit
    ) async throws(CallbackFailure) -> UInt {
        let group = MultiThreadedEventLoopGroup.singleton
        let status = group.next().makePromise(of: UInt.self)
        let time = TimeAmount.milliseconds(limit.wholeMilliseconds)
        // Names are looked up on a thread of NIO's own, which no limit of ours ends; the promise has its own.
        let timer = status.futureResult.eventLoop.scheduleTask(in: time) {
            status.fail(CallbackFailure("no answer within \(limit.wholeMilliseconds) ms"))
        }
        let connection = ClientBootstrap(group: group)
            .connectTimeout(time)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHandler(ByteLimit(maximumBytes))
                    try pipeline.addHTTPClientHandlers(leftOverBytesStrategy: .dropBytes)
                    try pipeline.addHandler(StatusReader(body, url, status))
                }
            }
            .connect(host: url.host, port: url.port)
        connection.whenFailure { status.fail($0) }
        status.futureResult.whenComplete { _ in
            timer.cancel()
            connection.whenSuccess { $0.close(promise: nil) }
        }
        do {
            return try await status.futureResult.get()
        } catch let failure as CallbackFailure {
            throw failure
        } catch {
            throw CallbackFailure(Self.words(for: error))
        }
    }

    private static func words(for error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            if let first = error.connectionErrors.first { return words(for: first.error) }
            return "the name \(error.host) is not known"
        case let error as IOError: return SystemError("connect", error.errnoCode).reason
        case is ChannelError: return "the connection was not made or was cut"
        default: return "\(error)"
        }
    }
}

/// Sends the request when the connection stands, and takes the status of the answer.
private final class StatusReader: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let body: [UInt8]
    private let url: CallbackURL
    private let status: EventLoopPromise<UInt>

    init(_ body: [UInt8], _ url: CallbackURL, _ status: EventLoopPromise<UInt>) {
        self.body = body
        self.url = url
        self.status = status
    }

    func channelActive(context: ChannelHandlerContext) {
        var head = HTTPRequestHead(version: .http1_1, method: .POST, uri: url.target)
        head.headers.add(name: "host", value: url.authority)
        head.headers.add(name: "content-type", value: "application/json")
        head.headers.add(name: "content-length", value: "\(body.count)")
        head.headers.add(name: "user-agent", value: "llorch/\(Version.current)")
        head.headers.add(name: "connection", value: "close")
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(
            wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: body)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(let head) = unwrapInboundIn(data) else { return }
        // An interim answer is followed by the answer.
        guard head.status.code >= 200 else { return }
        status.succeed(head.status.code)
    }

    func channelInactive(context: ChannelHandlerContext) {
        status.fail(CallbackFailure("the connection was closed without an answer"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        status.fail(
            error is HTTPParserError ? CallbackFailure("the answer is no valid HTTP") : error)
        context.close(promise: nil)
    }
}

/// Ends a connection that sends more than an answer's head needs.
private final class ByteLimit: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private var left: Int

    init(_ limit: Int) {
        left = limit
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        left -= unwrapInboundIn(data).readableBytes
        guard left >= 0 else {
            context.fireErrorCaught(CallbackFailure("the answer is too long"))
            return
        }
        context.fireChannelRead(data)
    }
}
