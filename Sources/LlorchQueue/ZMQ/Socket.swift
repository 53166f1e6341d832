// A socket with one owner. What its options should be: Addresses/QueueSocket.swift.
// SPDX-License-Identifier: Apache-2.0

import CZMQ
import LlorchSystem

/// A socket, used by one thread at a time and closed when its owner lets go.
package struct ZMQSocket: ~Copyable {
    package enum Kind: Sendable, Hashable {
        case push
        case pull
        /// Answers libzmq's questions about its peers (ZAP).
        case reply

        fileprivate var type: Int32 {
            switch self {
            case .push: ZMQ_PUSH
            case .pull: ZMQ_PULL
            case .reply: ZMQ_REP
            }
        }
    }

    /// An option by its libzmq name; the width of the value follows from it.
    package enum Option: Sendable, Hashable {
        case sendHighWaterMark(Int32)
        case receiveHighWaterMark(Int32)
        /// Bytes of the kernel's send buffer.
        case sendBuffer(Int32)
        /// Queue messages only on completed connections.
        case immediate(Bool)
        /// A longer frame makes libzmq cut the connection by which the frame came.
        case maximumMessageSize(Int64)
        /// Time that closing may still spend on sending.
        case linger(Duration)
        case reconnectInterval(Duration)
        case reconnectIntervalMaximum(Duration)
        case handshakeInterval(Duration)
        /// Both times in whole seconds.
        case keepAlive(idle: Duration, interval: Duration, count: Int32)
        /// Addresses are IPv6, and names are looked up as such.
        case ipv6(Bool)
        /// Time that sent data may stay unacknowledged.
        case maximumRetransmission(Duration)
    }

    let handle: SocketHandle

    /// Messages of more than one frame that were read and thrown away.
    package private(set) var multipartDropped = 0

    package init(_ kind: Kind, in context: ZMQContext) throws(ZMQError) {
        handle = try SocketHandle(kind.type, context)
    }

    package func set(_ option: Option) throws(ZMQError) {
        switch option {
        case .sendHighWaterMark(let count): try set(ZMQ_SNDHWM, count)
        case .receiveHighWaterMark(let count): try set(ZMQ_RCVHWM, count)
        case .sendBuffer(let bytes): try set(ZMQ_SNDBUF, bytes)
        case .immediate(let flag): try set(ZMQ_IMMEDIATE, Int32(flag ? 1 : 0))
        case .maximumMessageSize(let bytes): try set(ZMQ_MAXMSGSIZE, bytes)
        case .linger(let time): try setMilliseconds(ZMQ_LINGER, time)
        case .reconnectInterval(let time): try setMilliseconds(ZMQ_RECONNECT_IVL, time)
        case .reconnectIntervalMaximum(let time):
            try setMilliseconds(ZMQ_RECONNECT_IVL_MAX, time)
        case .handshakeInterval(let time): try setMilliseconds(ZMQ_HANDSHAKE_IVL, time)
        case .ipv6(let flag): try set(ZMQ_IPV6, Int32(flag ? 1 : 0))
        case .keepAlive(let idle, let interval, let count):
            try set(ZMQ_TCP_KEEPALIVE, Int32(1))
            try set(ZMQ_TCP_KEEPALIVE_IDLE, Int32(clamping: idle.components.seconds))
            try set(ZMQ_TCP_KEEPALIVE_INTVL, Int32(clamping: interval.components.seconds))
            try set(ZMQ_TCP_KEEPALIVE_CNT, count)
        case .maximumRetransmission(let time): try setMilliseconds(ZMQ_TCP_MAXRT, time)
        }
    }

    private func setMilliseconds(_ name: Int32, _ time: Duration) throws(ZMQError) {
        try set(name, Int32(clamping: time.wholeMilliseconds))
    }

    private func set<Value: BitwiseCopyable>(_ name: Int32, _ value: Value) throws(ZMQError) {
        let result = unsafe withUnsafePointer(to: value) { pointer in
            unsafe zmq_setsockopt(handle.pointer, name, pointer, MemoryLayout<Value>.size)
        }
        if result != 0 { throw ZMQError(rawValue: zmq_errno()) }
    }

    /// Lets in only peers that the context's `ConnectionGuard` allows, and proves to them to own this pair.
    func serveCurve(_ pair: CurveKeyPair) throws(ZMQError) {
        try set(ZMQ_CURVE_SERVER, Int32(1))
        try unsafe set(ZMQ_CURVE_SECRETKEY, pair.secret.bytes, pair.secret.count)
        let domain = Array(ConnectionGuard.domain.utf8)
        try unsafe set(ZMQ_ZAP_DOMAIN, domain, domain.count)
        // Without this option, a context without a guard would let everyone in.
        try set(Int32(LLORCH_ZMQ_ZAP_ENFORCE_DOMAIN), Int32(1))
    }

    /// Speaks only to the owner of the server's key.
    func useCurve(_ pair: CurveKeyPair, server: CurvePublicKey) throws(ZMQError) {
        try unsafe set(ZMQ_CURVE_SERVERKEY, server.bytes, server.bytes.count)
        try unsafe set(ZMQ_CURVE_PUBLICKEY, pair.publicKey.bytes, CurvePublicKey.byteCount)
        try unsafe set(ZMQ_CURVE_SECRETKEY, pair.secret.bytes, pair.secret.count)
    }

    private func set(
        _ name: Int32, _ bytes: UnsafeRawPointer, _ count: Int
    ) throws(ZMQError) {
        if unsafe zmq_setsockopt(handle.pointer, name, bytes, count) != 0 {
            throw ZMQError(rawValue: zmq_errno())
        }
    }

    package func bind(_ address: String) throws(ZMQError) {
        if unsafe zmq_bind(handle.pointer, address) != 0 {
            throw ZMQError(rawValue: zmq_errno())
        }
    }

    /// Serves a socket that listens already; libzmq closes the descriptor, and neither makes nor removes a file.
    ///
    /// `owner` is kept as long as the socket.
    func bind(
        _ address: String, listening descriptor: Int32, keeping owner: AnyObject
    ) throws(ZMQError) {
        try set(ZMQ_USE_FD, descriptor)
        try bind(address)
        handle.owner = owner
    }

    package func connect(_ address: String) throws(ZMQError) {
        if unsafe zmq_connect(handle.pointer, address) != 0 {
            throw ZMQError(rawValue: zmq_errno())
        }
    }

    /// The address last bound or connected, with the port that the system chose for `*`.
    package var lastEndpoint: String {
        var bytes = [CChar](repeating: 0, count: 1024)
        var length = bytes.count
        let result = unsafe zmq_getsockopt(
            handle.pointer, ZMQ_LAST_ENDPOINT, &bytes, &length)
        guard result == 0 else { return "" }
        return String(
            decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Hands one frame to libzmq without waiting; false if libzmq would wait.
    ///
    /// A send notices only once a millisecond that the I/O thread has made room; a question for room notices it
    /// at once.
    package func send(_ bytes: [UInt8]) throws(ZMQError) -> Bool {
        if try hand(bytes) { return true }
        guard hasRoom else { return false }
        return try hand(bytes)
    }

    private func hand(_ bytes: [UInt8]) throws(ZMQError) -> Bool {
        try ZMQError.check {
            unsafe zmq_send(handle.pointer, bytes, bytes.count, ZMQ_DONTWAIT)
        } != nil
    }

    private var hasRoom: Bool {
        var events: Int32 = 0
        var length = MemoryLayout<Int32>.size
        let result = unsafe zmq_getsockopt(handle.pointer, ZMQ_EVENTS, &events, &length)
        return result == 0 && events & ZMQ_POLLOUT != 0
    }

    /// Sends frames as one message, which LLQ/1 does not allow but libzmq's own questions need.
    package func sendParts(_ parts: [[UInt8]]) throws(ZMQError) {
        for (number, bytes) in parts.enumerated() {
            let more = number + 1 < parts.count ? ZMQ_SNDMORE : 0
            _ = try ZMQError.check {
                unsafe zmq_send(handle.pointer, bytes, bytes.count, ZMQ_DONTWAIT | more)
            }
        }
    }

    /// Takes the next message without waiting; nil where there is none.
    ///
    /// Messages of several frames are no part of the protocol: they are counted and passed over.
    package mutating func receive() throws(ZMQError) -> ZMQMessage? {
        while true {
            let message = ZMQMessage()
            guard try receive(into: message) else { return nil }
            if !message.hasMore { return message }
            multipartDropped += 1
            var more = true
            while more {
                let rest = ZMQMessage()
                more = try receive(into: rest) && rest.hasMore
            }
        }
    }

    /// Takes the frames of the next message of a socket that speaks to libzmq itself; nil where there is none.
    func receiveParts() throws(ZMQError) -> [[UInt8]]? {
        var parts: [[UInt8]] = []
        while true {
            let message = ZMQMessage()
            guard try receive(into: message) else { return parts.isEmpty ? nil : parts }
            let bytes = message.bytes
            parts.append(bytes.indices.map { bytes[$0] })
            if !message.hasMore { return parts }
        }
    }

    private func receive(into message: borrowing ZMQMessage) throws(ZMQError) -> Bool {
        let pointer = unsafe message.pointer
        return try ZMQError.check {
            unsafe zmq_msg_recv(pointer, handle.pointer, ZMQ_DONTWAIT)
        } != nil
    }
}

/// Closes the socket when neither its owner nor a poll set holds it.
@safe final class SocketHandle {
    let pointer: UnsafeMutableRawPointer
    /// What must outlive the socket, such as the file that stands for its address.
    var owner: AnyObject?
    private let context: ZMQContext

    init(_ type: Int32, _ context: ZMQContext) throws(ZMQError) {
        guard let pointer = unsafe zmq_socket(context.pointer, type) else {
            throw ZMQError(rawValue: zmq_errno())
        }
        unsafe self.pointer = pointer
        self.context = context
    }

    deinit {
        unsafe zmq_close(pointer)
    }
}
