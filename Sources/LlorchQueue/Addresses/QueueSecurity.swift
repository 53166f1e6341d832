// The keys of a process on the queue, whom it lets in and to whom it speaks: CURVE for the three pipes of LLQ/1.
// The side that binds proves to own the key that its peers know; a side that connects must be allowed.
// SPDX-License-Identifier: Apache-2.0

/// Keys that were read, ready for sockets.
package struct QueueSecurity: Sendable {
    package let keys: CurveKeyPair
    /// Where the keys of those who may connect lie, and the keys that were read there at the start.
    package let allowed: (source: AllowedKeys, keys: Set<CurvePublicKey>)?
    /// The public key of the process that this one connects to.
    package var server: CurvePublicKey?

    package init(
        keys: CurveKeyPair, allowed: (source: AllowedKeys, keys: Set<CurvePublicKey>)? = nil,
        server: CurvePublicKey? = nil
    ) {
        self.keys = keys
        self.allowed = allowed
        self.server = server
    }

    /// These keys, for connections to the owner of another public key.
    func speaking(to server: CurvePublicKey?) -> QueueSecurity {
        var copy = self
        copy.server = server ?? self.server
        return copy
    }

    /// Make the guard before the first socket of the context, and keep it as long as the context.
    package func makeGuard(
        in context: ZMQContext, now: Duration
    ) throws(ZMQError) -> ConnectionGuard? {
        guard let allowed else { return nil }
        return try ConnectionGuard(allowed.source, allowed.keys, in: context, now: now)
    }
}

/// Where the keys of a process lie, as its command line says.
package struct QueueKeyFiles: Sendable, Hashable {
    package var secretKey: String?
    package var allowedKeys: String?
    package var serverKey: String?

    package init(secretKey: String?, allowedKeys: String?, serverKey: String?) {
        self.secretKey = secretKey
        self.allowedKeys = allowedKeys
        self.serverKey = serverKey
    }

    /// Whether CURVE is asked for at all.
    package var isUsed: Bool { secretKey != nil }

    /// What is missing on the command line of a process with these endpoints, as a sentence.
    package func problem(for endpoints: [QueueEndpoint]) -> String? {
        if secretKey == nil {
            for (option, value) in [
                ("--curve-allowed-keys", allowedKeys), ("--curve-server-key", serverKey),
            ] where value != nil {
                return "\(option) needs --curve-secret-key FILE; make keys with: "
                    + "llorch-worker keys NAME"
            }
            return nil
        }
        if allowedKeys == nil, endpoints.contains(where: { $0.direction == .bind }) {
            return "--curve-secret-key needs --curve-allowed-keys PATH, the public keys of those "
                + "who may connect"
        }
        if allowedKeys == nil, serverKey == nil {
            return
                "--curve-secret-key needs --curve-server-key FILE, the public key of the process "
                + "to connect to"
        }
        return nil
    }

    /// Reads the files; nil where none are named.
    package func load(for endpoints: [QueueEndpoint]) throws(CurveKeyError) -> QueueSecurity? {
        guard let secretKey else { return nil }
        let keys = try CurveKeyFile.keyPair(at: secretKey)
        var allowed: (source: AllowedKeys, keys: Set<CurvePublicKey>)?
        if let allowedKeys {
            let source = AllowedKeys(path: allowedKeys)
            allowed = (source, try source.load())
        }
        var server: CurvePublicKey?
        if let serverKey {
            server = try CurveKeyFile.publicKey(at: serverKey)
        } else if endpoints.contains(where: { $0.direction == .connect }), let allowed {
            guard allowed.keys.count == 1 else {
                throw CurveKeyError(
                    allowed.source.path,
                    "found \(allowed.keys.count) keys; name the one of the process to connect to "
                        + "with --curve-server-key")
            }
            server = allowed.keys.first
        }
        return QueueSecurity(keys: keys, allowed: allowed, server: server)
    }
}
