// Who gets a message through to a CURVE socket, over real sockets and on one thread.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import LlorchProtocol
import LlorchQueue
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct ConnectionGuardTests {
    /// A jobs socket with keys, and the guard beside it.
    private struct Server: ~Copyable {
        let keys: CurveKeyPair
        var connections: ConnectionGuard
        var socket: ZMQSocket
        let address: String
        let context: ZMQContext

        init(allowing folder: TemporaryDirectory) throws {
            let pair = try #require(CurveKeyPair.generate())
            let source = AllowedKeys(path: folder.path)
            let security = QueueSecurity(keys: pair, allowed: (source, try source.load()))
            let ours = try ZMQContext()
            guard let made = try security.makeGuard(in: ours, now: .zero) else {
                throw QueueAddressError("", "no guard")
            }
            let opened = try QueueSocket.workerJobs.open(
                QueueEndpoint(parsing: "tcp://127.0.0.1:*", default: .bind), in: ours, security)
            keys = pair
            context = ours
            connections = made
            socket = opened
            address = socket.lastEndpoint
        }

        /// Serves until a message comes; nil once someone is refused, and after two minutes.
        mutating func next(now: Duration = .zero) throws -> (
            bytes: [UInt8], sender: CurvePublicKey?
        )? {
            let refused = connections.access.refused
            for _ in 0..<120 where connections.access.refused == refused {
                var poller = ZMQPoller()
                poller.add(socket, .readable)
                connections.watch(in: &poller)
                try poller.wait(atMost: .seconds(1))
                try connections.serve(now: now)
                if let message = try socket.receive() {
                    let bytes = message.bytes
                    return (bytes.indices.map { bytes[$0] }, message.senderKey)
                }
            }
            return nil
        }

        /// A socket of someone else, in a context of their own.
        func client(_ pair: CurveKeyPair?, server: CurvePublicKey? = nil) throws -> ZMQSocket {
            let security = pair.map { QueueSecurity(keys: $0, server: server ?? keys.publicKey) }
            let endpoint = try QueueEndpoint(parsing: address, default: .connect)
            return try QueueSocket.dispatcherJobs.open(endpoint, in: ZMQContext(), security)
        }
    }

    private func makePair(allowedIn folder: TemporaryDirectory) throws -> CurveKeyPair {
        let pair = try #require(CurveKeyPair.generate())
        try CurveKeyFile.write(pair, to: "\(folder.path)/a")
        return pair
    }

    /// Sends as soon as there is a connection.
    private func send(_ bytes: [UInt8], _ socket: borrowing ZMQSocket, _ server: inout Server)
        throws
    {
        while try !socket.send(bytes) {
            var poller = ZMQPoller()
            server.connections.watch(in: &poller)
            poller.add(socket, .writable)
            try poller.wait(atMost: .seconds(1))
            try server.connections.serve(now: .zero)
        }
    }

    @Test func anAllowedKeyGetsInAndIsKnown() throws {
        let folder = try TemporaryDirectory()
        let pair = try makePair(allowedIn: folder)
        var server = try Server(allowing: folder)
        let client = try server.client(pair)
        try send([1, 2], client, &server)
        let received = try #require(try server.next())
        #expect(received.bytes == [1, 2])
        #expect(received.sender == pair.publicKey)
        #expect(server.connections.access.refused == 0)
    }

    @Test func anUnknownKeyIsRefusedAndNamed() throws {
        let folder = try TemporaryDirectory()
        _ = try makePair(allowedIn: folder)
        var server = try Server(allowing: folder)
        let stranger = try #require(CurveKeyPair.generate())
        let client = try server.client(stranger)
        #expect(try server.next() == nil)
        #expect(server.connections.access.lastRefusal?.key == stranger.publicKey)
        #expect(server.connections.access.lastRefusal?.address == "127.0.0.1")
        #expect(try client.send([1]) == false)
    }

    @Test func withoutTheRightServerKeyOrAnyNothingGetsIn() throws {
        let folder = try TemporaryDirectory()
        let pair = try makePair(allowedIn: folder)
        var server = try Server(allowing: folder)
        let other = try #require(CurveKeyPair.generate())
        let wrong = try server.client(pair, server: other.publicKey)
        let plain = try server.client(nil)
        let right = try server.client(pair)
        // The client with the right key began last. That the others do not get in later either is tested in
        // Tests/EndToEndTests/test_curve.py.
        try send([3], right, &server)
        #expect(try #require(try server.next()).bytes == [3])
        #expect(try wrong.send([1]) == false)
        #expect(try plain.send([2]) == false)
        #expect(try server.socket.receive() == nil)
        #expect(server.connections.access.refused == 0)
    }

    @Test func keysAreReadAgainAndDamagedOnesChangeNothing() throws {
        let folder = try TemporaryDirectory()
        var server = try Server(allowing: folder)
        let pair = try #require(CurveKeyPair.generate())
        let early = try server.client(pair)
        #expect(try server.next() == nil)
        try CurveKeyFile.write(pair, to: "\(folder.path)/a")
        let tooSoon = try server.client(pair)
        #expect(try server.next(now: .milliseconds(999)) == nil)
        let inTime = try server.client(pair)
        while try !inTime.send([4]) {
            var poller = ZMQPoller()
            server.connections.watch(in: &poller)
            poller.add(inTime, .writable)
            try poller.wait(atMost: .seconds(1))
            try server.connections.serve(now: .seconds(1))
        }
        #expect(try #require(try server.next(now: .seconds(1))).bytes == [4])
        let file = try #require(fopen("\(folder.path)/k.key", "w"))
        fclose(file)
        let later = try server.client(pair)
        while server.connections.access.loadFailure == nil {
            var poller = ZMQPoller()
            server.connections.watch(in: &poller)
            try poller.wait(atMost: .seconds(1))
            try server.connections.serve(now: .seconds(5))
        }
        try send([5], later, &server)
        #expect(try #require(try server.next(now: .seconds(5))).bytes == [5])
        _ = consume early
        _ = consume tooSoon
    }

    @Test func aSocketWithoutGuardLetsNobodyIn() throws {
        let pair = try #require(CurveKeyPair.generate())
        let context = try ZMQContext()
        var socket = try QueueSocket.workerJobs.open(
            QueueEndpoint(parsing: "tcp://127.0.0.1:*", default: .bind), in: context,
            QueueSecurity(keys: pair))
        let client = try QueueSocket.dispatcherJobs.open(
            QueueEndpoint(parsing: socket.lastEndpoint, default: .connect), in: ZMQContext(),
            QueueSecurity(keys: pair, server: pair.publicKey))
        var poller = ZMQPoller()
        poller.add(client, .writable)
        // Nobody is let in, so no event ends this wait: a handshake that succeeds takes some milliseconds.
        try poller.wait(atMost: .milliseconds(500))
        #expect(try client.send([1]) == false)
        #expect(try socket.receive() == nil)
    }

    @Test func withoutTheServersKeyNothingIsConnected() throws {
        let pair = try #require(CurveKeyPair.generate())
        #expect(throws: QueueAddressError.self) {
            _ = try QueueSocket.dispatcherJobs.open(
                QueueEndpoint(parsing: "tcp://127.0.0.1:9", default: .connect), in: ZMQContext(),
                QueueSecurity(keys: pair))
        }
    }
}
