// Who may use a server that has a token: clients that show `Authorization: Bearer TOKEN`, as in RFC 6750.
// By which names a server may be addressed: HostRule.swift.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import LlorchProtocol
import LlorchQueue
import LlorchSystem

/// Why a token cannot be used; the description holds no part of the token.
package struct AccessTokenError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String
}

/// The token that a client must show.
///
/// No log, error or description holds any part of it.
package struct AccessToken: Sendable, CustomStringConvertible, CustomReflectable {
    private let bytes: [UInt8]

    private static let maximumBytes = 4_096
    private static let scheme = "bearer "

    package var description: String { "a token" }
    package var customMirror: Mirror { Mirror(self, children: []) }

    /// Takes the text without the line ends behind it; `source` names the file or variable in errors.
    package init(_ text: [UInt8], from source: String) throws(AccessTokenError) {
        bytes = Array(text.reversed().drop { $0 == 0x0a || $0 == 0x0d }.reversed())
        guard !bytes.isEmpty else {
            throw AccessTokenError(description: "\(source): expected a token, found none")
        }
        guard bytes.count <= Self.maximumBytes, bytes.allSatisfy({ (0x21...0x7e).contains($0) })
        else {
            throw AccessTokenError(
                description:
                    "\(source): expected at most \(Self.maximumBytes) visible ASCII characters "
                    + "without a space, found others; make one with: openssl rand -hex 32")
        }
    }

    /// Reads a file that only its owner may read.
    package init(file path: String) throws(AccessTokenError) {
        let text: [UInt8]
        do {
            text = try SecretFile.bytes(of: path, remedy: "make a new token")
        } catch {
            throw AccessTokenError(description: "\(error)")
        }
        try self.init(text, from: path)
    }

    /// Nil for a request whose `Authorization` shows the token.
    func refusal(of authorization: String?) -> Refusal? {
        guard let authorization else {
            return Self.refusal("Authorization: Bearer TOKEN is missing")
        }
        guard authorization.prefix(Self.scheme.count).lowercased() == Self.scheme else {
            return Self.refusal("Authorization must be: Bearer TOKEN")
        }
        return isEqual(to: Array(authorization.dropFirst(Self.scheme.count).utf8))
            ? nil : Self.refusal("the token is not this server's")
    }

    /// Compares in a time that does not depend on how many bytes are right.
    private func isEqual(to shown: [UInt8]) -> Bool {
        var difference = shown.count ^ bytes.count
        for (place, byte) in shown.enumerated() {
            difference |= Int(byte ^ bytes[place % bytes.count])
        }
        return difference == 0
    }

    private static func refusal(_ message: String) -> Refusal {
        Refusal(.unauthorized, field: "authorization", constraint: "bearer_token", message)
    }
}
