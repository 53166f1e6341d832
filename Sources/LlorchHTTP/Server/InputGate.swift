// The bytes of a connection before NIO's parser has them: notes how the head of a request begins and how long
// it is, and throws away what comes after the last answer. The requests themselves: Connection.swift.
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// The first handler of each connection.
final class InputGate: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// What came of a head that is not complete.
    struct Head {
        /// The beginning of the request line, for telling an unknown method from bytes that are not HTTP.
        private var beginning: [UInt8] = []
        /// The end of the request line, as far as it came.
        private var end: [UInt8] = []
        private var hasWholeLine = false
        private(set) var lineBytes = 0
        private(set) var bytes = 0

        mutating func append(_ buffer: ByteBuffer) {
            let view = buffer.readableBytesView
            // Line ends before a request line are allowed.
            let rest = bytes == 0 ? view.drop { $0 == 0x0d || $0 == 0x0a } : view[...]
            bytes += rest.count
            guard !hasWholeLine, !rest.isEmpty else { return }
            let line = rest.prefix { $0 != 0x0a }
            hasWholeLine = line.count < rest.count
            lineBytes += line.count
            beginning += line.prefix(64 - beginning.count)
            end = Array((end + line.suffix(16)).suffix(16))
        }

        /// Whether the line ends with a version of HTTP, whichever it is.
        var endsWithVersion: Bool {
            let version = end.last == 0x0d ? end.dropLast().suffix(9) : []
            return version.starts(with: " HTTP/".utf8) && version.count == 9
        }

        /// Whether the line begins with a word, which may be a method, and a space behind it.
        var beginsWithMethod: Bool {
            guard let space = beginning.firstIndex(of: 0x20), space > 0 else { return false }
            return beginning[..<space].allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
        }
    }

    private let connection: Connection

    init(_ connection: Connection) {
        self.connection = connection
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        guard connection.receives(buffer) else { return }
        context.fireChannelRead(data)
        connection.received()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.fireChannelReadComplete()
        // Nobody behind the parser asks for more after the last answer.
        if connection.isLingering { context.read() }
    }
}
