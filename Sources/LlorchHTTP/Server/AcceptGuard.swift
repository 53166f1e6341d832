// Keeps the listening socket from spinning: NIO tries to accept again at once after EMFILE, as long as the
// connection waits, and HummingbirdCore stops listening for good at the error. When to accept: AcceptPace.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchSystem
import Logging
import NIOCore

/// The first handler of the listening socket.
final class AcceptGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel
    typealias OutboundIn = Never
    typealias OutboundOut = Never

    private var pace: AcceptPace
    private let counts: ConnectionCounts
    private let logger: Logger
    private var isPaused = false

    init(limit: Int, counts: ConnectionCounts, logger: Logger) {
        pace = AcceptPace(limit: limit)
        self.counts = counts
        self.logger = logger
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let connection = unwrapInboundIn(data)
        pace.opened()
        counts.opened()
        let values = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        connection.closeFuture.hop(to: context.eventLoop).whenComplete { _ in
            let (guardian, context) = values.value
            guardian.closed(context)
        }
        context.fireChannelRead(data)
        decide(context)
    }

    private func closed(_ context: ChannelHandlerContext) {
        pace.closed()
        counts.closed()
        decide(context)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? IOError else {
            // Errors of one connection that was gone before it was accepted; the next one can be well.
            logger.debug("connection not accepted", metadata: ["reason": "\(error)"])
            return
        }
        let system = SystemError("accept", error.errnoCode)
        if system.isConnectionAborted { return }
        guard system.isOutOfResources else {
            context.fireErrorCaught(error)
            return
        }
        let pause = pace.failed(now: MonotonicClock.now())
        counts.paused(.resources)
        say(.resources, system.reason)
        decide(context)
        let values = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: TimeAmount(pause)) {
            let (guardian, context) = values.value
            guardian.decide(context)
        }
    }

    func read(context: ChannelHandlerContext) {
        if !isPaused { context.read() }
    }

    /// Looks away from the listening socket, or at it again.
    private func decide(_ context: ChannelHandlerContext) {
        let reason = pace.reasonToWait(now: MonotonicClock.now())
        guard (reason != nil) != isPaused, context.channel.isActive else { return }
        isPaused = reason != nil
        if reason == .connections {
            counts.paused(.connections)
            say(.connections, "there are \(pace.connections) connections")
        }
        // With automatic reading off, NIO takes the socket from the set that it waits for.
        do {
            try context.channel.syncOptions?.setOption(.autoRead, value: !isPaused)
        } catch {
            logger.error("accepting cannot be changed", metadata: ["reason": "\(error)"])
        }
    }

    private func say(_ reason: AcceptPace.Reason, _ text: String) {
        guard pace.isNews(reason, now: MonotonicClock.now()) else { return }
        logger.warning(
            "no connections accepted for now",
            metadata: ["reason": "\(text)", "connections": "\(pace.connections)"])
    }
}
