// Tells a route that its client has closed the connection, or the sending half of the connection, at any time
// between the request's last byte and the response's. HTTPServer.swift puts it into each connection's pipeline.
// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// A watch on one connection for one response.
package struct ClientPresence: Sendable {
    private let channel: any Channel

    package init(channel: any Channel) {
        self.channel = channel
    }

    /// Calls `action` once the client has gone, at once if the client has gone already.
    package func onGone(_ action: @escaping @Sendable () -> Void) {
        channel.eventLoop.execute { [channel] in
            if channel.isActive {
                InboundCloseHandler.of(channel)?.watch(action)
            } else {
                action()
            }
        }
    }

    /// The response is over.
    package func forget() {
        channel.eventLoop.execute { [channel] in
            InboundCloseHandler.of(channel)?.action = nil
        }
    }
}

/// Hears a connection's end of input where nobody is reading from it.
package final class InboundCloseHandler: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = NIOAny

    fileprivate var action: (@Sendable () -> Void)?
    private var isClosed = false

    package init() {}

    fileprivate static func of(_ channel: any Channel) -> InboundCloseHandler? {
        try? channel.pipeline.syncOperations.handler(type: InboundCloseHandler.self)
    }

    fileprivate func watch(_ action: @escaping @Sendable () -> Void) {
        self.action = action
        if isClosed { tell() }
    }

    private func tell() {
        isClosed = true
        let action = action
        self.action = nil
        action?()
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent { tell() }
        context.fireUserInboundEventTriggered(event)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        tell()
        context.fireChannelInactive()
    }
}
