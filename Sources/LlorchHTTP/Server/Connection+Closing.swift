// How a connection ends. A socket that is closed while the client still sends is reset, and the reset can take
// the answer from the client. So the sending half is closed first, and what comes is thrown away for a while.
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1

extension Connection {
    /// What is still done for a client after its last answer.
    struct Linger {
        var isAnswerSent = false
        var endsAt: NIODeadline
        var bytesLeft: Int
        /// Whether the client sent something since the last look.
        var isActive = false
    }

    /// The last answer was written: sends it, closes the sending half, and waits for the client.
    func linger(_ context: ChannelHandlerContext) {
        timer?.cancel()
        // The client has this long to take the answer; the time for its own bytes begins after that.
        phase = .lingering(
            Linger(endsAt: .now() + TimeAmount(limits.bodyTime), bytesLeft: limits.lingerBytes))
        let sent = context.eventLoop.makePromise(of: Void.self)
        sent.futureResult.assumeIsolated().whenComplete { [weak self] _ in self?.answerIsSent() }
        // Nothing, but behind everything that was written before.
        let nothing = ByteBuffer()
        context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(nothing))), promise: sent)
        look(again: limits.bodyTime)
        context.read()
    }

    private func answerIsSent() {
        guard let context, case .lingering(var linger) = phase else { return }
        linger.isAnswerSent = true
        linger.endsAt = .now() + TimeAmount(limits.lingerTime)
        phase = .lingering(linger)
        guard context.channel.isActive else { return }
        if isInputClosed {
            context.close(mode: .all, promise: nil)
        } else {
            context.close(mode: .output, promise: nil)
            look(again: quiet)
        }
    }

    private var quiet: Duration {
        isShuttingDown ? limits.lingerQuietInShutdown : limits.lingerQuiet
    }

    /// Bytes that came after the last answer.
    func discard(_ count: Int) {
        guard let context, case .lingering(var linger) = phase else { return }
        linger.bytesLeft -= count
        linger.isActive = true
        phase = .lingering(linger)
        if linger.bytesLeft < 0 { context.close(mode: .all, promise: nil) }
    }

    /// Closes as soon as the answer is sent.
    func hasten() {
        guard let context, case .lingering(let linger) = phase else { return }
        if !linger.isAnswerSent { return }
        if isInputClosed { context.close(mode: .all, promise: nil) } else { look(again: quiet) }
    }

    private func look(again time: Duration) {
        timer?.cancel()
        guard let loop = context?.eventLoop else { return }
        timer = loop.assumeIsolated().scheduleTask(in: TimeAmount(time)) { [weak self] in
            self?.look()
        }
    }

    private func look() {
        guard let context, case .lingering(var linger) = phase else { return }
        guard linger.isActive, linger.endsAt > .now(), !isShuttingDown else {
            context.close(mode: .all, promise: nil)
            return
        }
        linger.isActive = false
        phase = .lingering(linger)
        look(again: quiet)
    }

    /// A client that does not take its answers is given up; about streams Streams/ResponseStream.swift decides.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        stallTimer?.cancel()
        stallTimer = nil
        if !context.channel.isWritable {
            let loop = context.eventLoop.assumeIsolated()
            stallTimer = loop.scheduleTask(in: TimeAmount(limits.bodyTime)) { [weak self] in
                self?.stalled()
            }
        }
        context.fireChannelWritabilityChanged()
    }

    private func stalled() {
        guard let context, !context.channel.isWritable else { return }
        switch phase {
        case .exchange(let exchange) where exchange.isAnswerBegun && !exchange.hasLength: break
        case .exchange, .idle, .lingering: context.close(mode: .all, promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        stallTimer?.cancel()
        context.fireChannelInactive()
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        switch (phase, mode) {
        case (.lingering, .output):
            promise?.succeed()
        case (.lingering(let linger), .all) where !linger.isAnswerSent:
            // The answer is on its way; the connection is closed behind it.
            promise?.succeed()
        case (.lingering, .all) where !isInputClosed:
            promise?.succeed()
            hasten()
        case (.idle, .output):
            // What was written before goes out first: closing a half-closed connection drops it.
            promise?.succeed()
            linger(context)
        default:
            context.close(mode: mode, promise: promise)
        }
    }
}
