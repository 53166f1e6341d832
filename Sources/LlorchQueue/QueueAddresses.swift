// Where the three pipes of LLQ/1 are, who binds them, and every socket option of the protocol.
// SPDX-License-Identifier: Apache-2.0

/// Why an address cannot be used.
package struct QueueAddressError: Error, Sendable, Hashable, CustomStringConvertible {
    package var address: String
    package var reason: String

    package init(_ address: String, _ reason: String) {
        self.address = address
        self.reason = reason
    }

    package var description: String { "\(address): \(reason)" }
}

/// A libzmq address and which side of it this process takes: `bind:tcp://127.0.0.1:5601`.
package struct QueueEndpoint: Sendable, Hashable, CustomStringConvertible {
    package enum Direction: String, Sendable, Hashable {
        case bind
        case connect
    }

    package let direction: Direction
    /// Without the prefix.
    package let address: String

    /// Reads an address with or without a `bind:` or `connect:` prefix.
    ///
    /// With `mayBeExposed`, it may be bound where other machines reach it.
    /// - Throws: when the transport is none of tcp, ipc and inproc, the port is no port, or a bind
    ///   would be reachable from other machines and must not be.
    package init(
        parsing text: String, default direction: Direction, mayBeExposed: Bool = false
    ) throws(QueueAddressError) {
        var direction = direction
        var address = text[...]
        for candidate in [Direction.bind, .connect] where text.hasPrefix(candidate.rawValue + ":") {
            direction = candidate
            address = text.dropFirst(candidate.rawValue.count + 1)
        }
        self.direction = direction
        self.address = String(address)
        try check(as: text)
        if isExposed, !mayBeExposed {
            throw QueueAddressError(
                text,
                "refusing to listen beyond this machine without CURVE: give --curve-secret-key and "
                    + "--curve-allowed-keys, or bind 127.0.0.1 or an ipc path")
        }
    }

    package var description: String { "\(direction.rawValue):\(address)" }

    /// The path of an ipc address.
    package var path: String? {
        address.hasPrefix("ipc://") ? String(address.dropFirst(6)) : nil
    }

    /// Why the address works but is unwise.
    package var warning: String? {
        guard let port = UInt16(hostAndPort?.port ?? ""), port >= 32_768 else { return nil }
        return "port \(port) lies where the system takes ports for outgoing connections, so a "
            + "reconnecting peer can occupy it; choose one below 32768"
    }

    private var hostAndPort: (host: Substring, port: Substring)? {
        guard address.hasPrefix("tcp://") else { return nil }
        let rest = address.dropFirst(6)
        guard let colon = rest.lastIndex(of: ":") else { return (rest, "") }
        return (rest[..<colon], rest[rest.index(after: colon)...])
    }

    private func check(as text: String) throws(QueueAddressError) {
        let limit = 107  // bytes of a unix socket's path
        if let path {
            guard !path.isEmpty, path.utf8.count <= limit, !path.utf8.contains(0) else {
                throw QueueAddressError(text, "an ipc path has 1 to \(limit) bytes")
            }
            return
        }
        if address.hasPrefix("inproc://"), address.utf8.count > 9 { return }
        guard let (host, port) = hostAndPort else {
            throw QueueAddressError(
                text, "expected tcp://HOST:PORT or ipc://PATH, with bind: or connect: before it")
        }
        let isWildcard = direction == .bind && port == "*"
        guard isWildcard || UInt16(port).map({ $0 > 0 }) ?? false else {
            throw QueueAddressError(text, "expected a port of 1 to 65535 after the last colon")
        }
        guard !host.isEmpty, !host.utf8.contains(0) else {
            throw QueueAddressError(text, "expected a host before the port")
        }
    }

    /// Whether other machines may reach what is bound here.
    package var isExposed: Bool {
        guard direction == .bind, let host = hostAndPort?.host else { return false }
        return !Self.isLoopback(host)
    }

    /// Whether it connects to another machine.
    package var isElsewhere: Bool {
        guard direction == .connect, let host = hostAndPort?.host else { return false }
        return !Self.isLoopback(host)
    }

    /// Whether it is bound to all addresses of the machine, so that it names none to connect to.
    package var isWildcard: Bool {
        guard direction == .bind, let host = hostAndPort?.host else { return false }
        return ["*", "0.0.0.0", "[::]", "::"].contains(host)
    }

    /// Whether only this machine reaches what is bound to a host.
    package static func isLoopback(_ host: Substring) -> Bool {
        if ["localhost", "[::1]", "::1", "lo"].contains(host) { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }
}

/// One end of one pipe.
package enum QueueSocket: Sendable, Hashable, CaseIterable {
    case workerJobs
    case workerControl
    case workerEvents
    case dispatcherJobs
    case dispatcherControl
    case dispatcherEvents

    /// The longest job message; a longer one would cut the connection.
    package static let maximumJobBytes = 1 << 20
    package static let maximumControlBytes = 16 << 10
    package static let maximumEventBytes = 1 << 20
    /// Milliseconds that the worker's last events may still take when it leaves.
    package static let drainLinger: Int32 = 2_000

    package var kind: ZMQSocket.Kind {
        switch self {
        case .workerJobs, .workerControl, .dispatcherEvents: .pull
        case .workerEvents, .dispatcherJobs, .dispatcherControl: .push
        }
    }

    /// PULL binds, PUSH connects: the direction that loses least and splits nothing.
    package var defaultDirection: QueueEndpoint.Direction {
        kind == .pull ? .bind : .connect
    }

    package var defaultAddress: String {
        switch self {
        case .workerEvents, .dispatcherEvents: "tcp://127.0.0.1:5600"
        case .workerJobs, .dispatcherJobs: "tcp://127.0.0.1:5601"
        case .workerControl, .dispatcherControl: "tcp://127.0.0.1:5602"
        }
    }

    /// The normative table.
    ///
    /// No socket has ZMTP heartbeats: with a finite receive mark they abort the process.
    package var options: [ZMQSocket.Option] {
        let own: [ZMQSocket.Option] =
            switch self {
            case .workerJobs:
                [.receiveHighWaterMark(1_000), .maximumMessageSize(Int64(Self.maximumJobBytes))]
            case .workerControl:
                [
                    .receiveHighWaterMark(1_000),
                    .maximumMessageSize(Int64(Self.maximumControlBytes)),
                ]
            case .workerEvents:
                [.sendHighWaterMark(64), .sendBuffer(65_536), .immediate(true)]
            case .dispatcherJobs, .dispatcherControl:
                [.sendHighWaterMark(16), .sendBuffer(65_536), .immediate(true)]
            case .dispatcherEvents:
                [.receiveHighWaterMark(0), .maximumMessageSize(Int64(Self.maximumEventBytes))]
            }
        // A reader that is stopped looks to the kernel like one that is gone: no connection is cut, and
        // nothing in flight lost, before the worker itself gives the reader up.
        let patience: Int32 = self == .workerEvents ? 120_000 : 15_000
        return [
            .linger(0), .reconnectInterval(100), .reconnectIntervalMaximum(2_000),
            .handshakeInterval(3_000),
            .keepAlive(idleSeconds: 30, intervalSeconds: 5, count: 3),
            .maximumRetransmission(patience),
        ] + own
    }

    /// Opens this end with its options; with `security`, only allowed peers get in, and only the right one
    /// is spoken to.
    package func open(
        _ endpoint: QueueEndpoint, in context: ZMQContext, _ security: QueueSecurity? = nil
    ) throws(QueueAddressError) -> ZMQSocket {
        do {
            let socket = try ZMQSocket(kind, in: context)
            for option in options { try socket.set(option) }
            if let security {
                if endpoint.direction == .bind {
                    try socket.serveCurve(security.keys)
                } else if let server = security.server {
                    try socket.useCurve(security.keys, server: server)
                } else {
                    throw QueueAddressError(
                        endpoint.address, "the key of whoever listens there is not known")
                }
            }
            switch endpoint.direction {
            case .bind: try socket.bind(endpoint.address)
            case .connect: try socket.connect(endpoint.address)
            }
            return socket
        } catch let error as ZMQError where error == .addressInUse {
            throw QueueAddressError(
                endpoint.address, "the address is in use; stop the other process or choose another")
        } catch let error as QueueAddressError {
            throw error
        } catch {
            throw QueueAddressError(endpoint.address, "\(error)")
        }
    }
}
