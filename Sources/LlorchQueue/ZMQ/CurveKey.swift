// The keys of CURVE (https://rfc.zeromq.org/spec/26/), 32 bytes or 40 characters of Z85
// (https://rfc.zeromq.org/spec/32/). Their files: CurveKeyFile.swift; who is let in: ConnectionGuard.swift.
// SPDX-License-Identifier: Apache-2.0

import CZMQ
import LlorchSystem

/// What anybody may know of a key pair.
package struct CurvePublicKey: Sendable, Hashable, CustomStringConvertible {
    static let byteCount = 32
    static let textLength = 40

    /// In Z85.
    package let description: String
    let bytes: [UInt8]

    /// Reads Z85; nil for what is no key.
    package init?(_ text: String) {
        guard text.utf8.count == Self.textLength, !text.utf8.contains(0) else { return nil }
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        guard unsafe zmq_z85_decode(&bytes, text) != nil else { return nil }
        self.bytes = bytes
        description = text
    }

    /// Nil where there are not 32 bytes.
    package init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        var text = [CChar](repeating: 0, count: Self.textLength + 1)
        guard unsafe zmq_z85_encode(&text, bytes, bytes.count) != nil else { return nil }
        self.bytes = bytes
        description = String(
            decoding: text.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

/// A public key and its secret, which is overwritten when the last owner lets go.
package final class CurveKeyPair: Sendable, CustomStringConvertible, CustomReflectable {
    package let publicKey: CurvePublicKey
    let secret: SecretMemory

    /// Nil where this libzmq has no CURVE.
    package static func generate() -> CurveKeyPair? {
        guard isAvailable else { return nil }
        var publicText = [CChar](repeating: 0, count: CurvePublicKey.textLength + 1)
        let secretText = SecretMemory(count: CurvePublicKey.textLength + 1)
        guard unsafe zmq_curve_keypair(&publicText, secretText.characters) == 0 else { return nil }
        return CurveKeyPair(secretText: secretText)
    }

    /// Nil where the text is no key, or this libzmq has no CURVE.
    ///
    /// The text is Z85 with a NUL behind it.
    init?(secretText: borrowing SecretMemory) {
        guard secretText.count == CurvePublicKey.textLength + 1 else { return nil }
        secret = SecretMemory(count: CurvePublicKey.byteCount)
        guard unsafe zmq_z85_decode(secret.bytes, secretText.characters) != nil else { return nil }
        var publicText = [CChar](repeating: 0, count: CurvePublicKey.textLength + 1)
        guard unsafe zmq_curve_public(&publicText, secretText.characters) == 0 else { return nil }
        let text = publicText.dropLast().map(UInt8.init(bitPattern:))
        guard let key = CurvePublicKey(String(decoding: text, as: UTF8.self)) else { return nil }
        publicKey = key
    }

    /// The secret in Z85 with a NUL behind it.
    func secretText() -> SecretMemory {
        let text = SecretMemory(count: CurvePublicKey.textLength + 1)
        unsafe zmq_z85_encode(text.characters, secret.bytes, secret.count)
        return text
    }

    /// Whether this libzmq was built with CURVE.
    package static var isAvailable: Bool { unsafe zmq_has("curve") == 1 }

    package var description: String { "key pair of \(publicKey)" }

    package var customMirror: Mirror { Mirror(self, children: ["publicKey": publicKey]) }
}
