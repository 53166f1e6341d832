// The six ends of the three pipes of LLQ/1, and every socket option of the protocol.
// Where a pipe leads: QueueEndpoint.swift. The socket itself: ZMQ/Socket.swift.
// SPDX-License-Identifier: Apache-2.0

package import LlorchSystem

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
    /// Time that the worker's last events may still take when it leaves.
    package static let drainLinger = Duration.seconds(2)

    package var kind: ZMQSocket.Kind {
        switch self {
        case .workerJobs, .workerControl, .dispatcherEvents: .pull
        case .workerEvents, .dispatcherJobs, .dispatcherControl: .push
        }
    }

    /// PULL binds and PUSH connects: a PUSH that bound would spread messages over all who connect.
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

    /// The options that every implementation of LLQ/1 should set.
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
        // A stopped reader looks to the kernel like a reader that is gone. The worker gives up a job after 60 s
        // without a reader, so the kernel must not cut the connection, and lose events in flight, before that.
        let patience = Duration.seconds(self == .workerEvents ? 120 : 15)
        return [
            .linger(.zero), .reconnectInterval(.milliseconds(100)),
            .reconnectIntervalMaximum(.seconds(2)), .handshakeInterval(.seconds(3)),
            .keepAlive(idle: .seconds(30), interval: .seconds(5), count: 3),
            .maximumRetransmission(patience),
        ] + own
    }

    /// Opens this end with its options.
    ///
    /// With `security`, only allowed peers get in, and a connection is made only to the owner of the server's key.
    /// `nameFamily` says in which family a host that is a name is looked up.
    package func open(
        _ endpoint: QueueEndpoint, in context: ZMQContext, _ security: QueueSecurity? = nil,
        nameFamily: IPFamily = .v4
    ) throws(QueueAddressError) -> ZMQSocket {
        let family = endpoint.family ?? nameFamily
        // libzmq would try to connect for ever, without a word.
        guard family == .v4 || family.isSupported else {
            throw QueueAddressError(bindingOrConnecting: endpoint, .familyNotSupported)
        }
        do {
            let socket = try ZMQSocket(kind, in: context)
            for option in options { try socket.set(option) }
            if family == .v6 { try socket.set(.ipv6(true)) }
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
            case .connect: try socket.connect(endpoint.address)
            case .bind:
                if let path = endpoint.filePath {
                    let local = try LocalAddress(endpoint, path: path)
                    try socket.bind(
                        endpoint.address, listening: local.listeningDescriptor(), keeping: local)
                } else {
                    try socket.bind(endpoint.address)
                }
            }
            return socket
        } catch let error as ZMQError {
            throw QueueAddressError(bindingOrConnecting: endpoint, error)
        } catch let error as QueueAddressError {
            throw error
        } catch {
            throw QueueAddressError(endpoint.address, "\(error)")
        }
    }
}
