// Decides whom the CURVE sockets of a context let in: the handler of ZAP (https://rfc.zeromq.org/spec/27/),
// served by the thread that owns the sockets, between its other work, without waiting.
// Which keys are allowed: AllowedKeys.swift.
// SPDX-License-Identifier: Apache-2.0

import CZMQ

/// Answers for each connection whether its key is allowed.
///
/// Make it before any CURVE socket of the context binds: without a handler the sockets would let everyone in.
package struct ConnectionGuard: ~Copyable {
    /// A connection that was not let in.
    package struct Refusal: Sendable, Hashable {
        /// Of the peer, as libzmq saw it.
        package var address: String
        package var key: CurvePublicKey

        package init(address: String, key: CurvePublicKey) {
            self.address = address
            self.key = key
        }
    }

    /// What the guard has decided so far, for reports.
    package struct Access: Sendable, Hashable {
        /// Connections that were not let in.
        package var refused = 0
        /// The newest of them.
        package var lastRefusal: Refusal?
        /// Why the allowed keys could not be read anew; those read before stay in force.
        package var loadFailure: CurveKeyError?

        package init() {}

        package mutating func refuse(_ refusal: Refusal) {
            refused += 1
            lastRefusal = refusal
        }
    }

    package private(set) var access = Access()

    private let socket: ZMQSocket
    private let allowed: AllowedKeys
    private var keys: Set<CurvePublicKey>
    private var loadedAt: Duration

    /// What every CURVE socket names as its domain.
    static let domain = "llorch"
    private static let requestsPerTurn = 64
    /// Time between two readings of the keys.
    private static let reloadInterval = Duration.seconds(1)

    /// Begins with the keys that `allowed` holds now; `now` is the time since the start
    /// of one monotonic clock.
    package init(
        _ allowed: AllowedKeys, _ keys: Set<CurvePublicKey>, in context: ZMQContext, now: Duration
    ) throws(ZMQError) {
        let handler = try ZMQSocket(.reply, in: context)
        try handler.set(.linger(.zero))
        try handler.bind("inproc://zeromq.zap.01")
        socket = handler
        self.allowed = allowed
        self.keys = keys
        loadedAt = now
    }

    package func watch(in poller: inout ZMQPoller) {
        poller.add(socket, .readable)
    }

    /// Answers libzmq's questions, at most 64 of them, so that the caller is not held up.
    package mutating func serve(now: Duration) throws(ZMQError) {
        for _ in 0..<Self.requestsPerTurn {
            guard let request = try socket.receiveParts() else { return }
            try socket.sendParts(answer(request, now: now))
        }
    }

    /// Frames of the question: version, id, domain, address, identity, mechanism, key.
    ///
    /// Frames of the answer: version, id, status, text, user, metadata.
    private mutating func answer(_ request: [[UInt8]], now: Duration) -> [[UInt8]] {
        let version = Array("1.0".utf8)
        func reply(_ status: String, _ text: String, user: String = "") -> [[UInt8]] {
            [
                version, request.count > 1 ? request[1] : [], Array(status.utf8),
                Array(text.utf8), Array(user.utf8), [],
            ]
        }
        guard request.count == 7, request[0] == version, request[2] == Array(Self.domain.utf8),
            request[5] == Array("CURVE".utf8), let key = CurvePublicKey(bytes: request[6])
        else {
            return reply("500", "no request of a CURVE socket of llorch")
        }
        reload(now: now)
        if keys.contains(key) { return reply("200", "", user: key.description) }
        access.refuse(Refusal(address: String(decoding: request[3], as: UTF8.self), key: key))
        // After 400 libzmq at the peer would give up for good, even if its key is allowed later. After 300
        // the peer comes again when the handshake interval is over, which also slows strangers down.
        return reply("300", "the key is not allowed")
    }

    private mutating func reload(now: Duration) {
        guard now - loadedAt >= Self.reloadInterval else { return }
        loadedAt = now
        do throws(CurveKeyError) {
            keys = try allowed.load()
            access.loadFailure = nil
        } catch {
            access.loadFailure = error
        }
    }
}
