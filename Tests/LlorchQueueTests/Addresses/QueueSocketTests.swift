// The socket options of the protocol, one by one: each of them keeps a job from being lost. Set in
// Sources/LlorchQueue/Addresses/QueueSocket.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchQueue
import Testing

@Suite struct QueueSocketTests {
    /// The options that a socket has beside those that all sockets have.
    static let own: [(QueueSocket, Set<ZMQSocket.Option>)] = [
        (.workerJobs, [.receiveHighWaterMark(1_000), .maximumMessageSize(1_048_576)]),
        (.workerControl, [.receiveHighWaterMark(1_000), .maximumMessageSize(16_384)]),
        // Unread events wait in the outbox, not in a pipe to nobody or in the kernel's buffers.
        (.workerEvents, [.sendHighWaterMark(64), .sendBuffer(65_536), .immediate(true)]),
        // Messages go only to a worker that is connected.
        (.dispatcherJobs, [.sendHighWaterMark(16), .sendBuffer(65_536), .immediate(true)]),
        (.dispatcherControl, [.sendHighWaterMark(16), .sendBuffer(65_536), .immediate(true)]),
        // No limit: with one, a slow reader would stall libzmq's own traffic.
        (.dispatcherEvents, [.receiveHighWaterMark(0), .maximumMessageSize(1_048_576)]),
    ]

    /// No ZMTP heartbeats among them: with a finite receive mark they abort the process.
    static let common: Set<ZMQSocket.Option> = [
        .linger(.zero), .reconnectInterval(.milliseconds(100)),
        .reconnectIntervalMaximum(.seconds(2)), .handshakeInterval(.seconds(3)),
        .keepAlive(idle: .seconds(30), interval: .seconds(5), count: 3),
    ]

    /// Time until a peer that takes nothing is cut off.
    ///
    /// For events it is longer than the 60 s after which the worker itself gives up a job whose events
    /// nobody reads.
    static func patience(_ socket: QueueSocket) -> ZMQSocket.Option {
        .maximumRetransmission(.seconds(socket == .workerEvents ? 120 : 15))
    }

    @Test(arguments: own)
    func everySocketHasItsRow(socket: QueueSocket, expected: Set<ZMQSocket.Option>) {
        let all = expected.union(Self.common).union([Self.patience(socket)])
        #expect(Set(socket.options) == all)
        #expect(socket.options.count == all.count, "none is set twice")
    }

    @Test func noSocketIsLeftOut() {
        #expect(Set(Self.own.map(\.0)) == Set(QueueSocket.allCases))
        #expect(QueueSocket.drainLinger == .seconds(2))
    }

    /// A reader binds and a writer connects, so that what waits belongs to a peer that is there.
    @Test func readersBind() {
        for socket in QueueSocket.allCases {
            #expect(socket.defaultDirection == (socket.kind == .pull ? .bind : .connect))
        }
    }
}
