// The URL that is told when this server can take jobs: plain HTTP, used exactly as it was given.
// When it is told, and how often: ReadyCallback.swift.
// SPDX-License-Identifier: Apache-2.0

/// A URL of the form `http://host:port/path?query`.
package struct CallbackURL: Sendable, Hashable {
    /// As it was given.
    package let text: String
    /// A name or an address, without the brackets of an IPv6 address.
    package let host: String
    package let port: Int
    /// What stands in the request's first line: path and query.
    package let target: String
    /// What stands in the `Host` header.
    package let authority: String

    package static let maximumBytes = 2_048
    private static let scheme = "http://"
    /// What a starter without a manager gives: nobody is to be told.
    private static let testMark = "localhost:9999"

    /// The URL for logs and errors: a query may hold what only the other side should know.
    package var shown: String {
        text.firstIndex(of: "?").map { text[..<$0] + "?…" } ?? text
    }

    /// Whether nobody is told.
    package var isSkipped: Bool { text.contains(Self.testMark) }

    /// What a URL that can be used looks like.
    package static let expected = "http://HOST[:PORT][/PATH], without user and fragment"

    /// Nil for a text of another form, `https://` included: this program has no TLS.
    package init?(_ text: String) {
        guard text.utf8.count <= Self.maximumBytes,
            text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }), !text.contains("#"),
            text.prefix(Self.scheme.count).lowercased() == Self.scheme
        else { return nil }
        let rest = text.dropFirst(Self.scheme.count)
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        guard let authority = Authority(String(rest[..<end])) else { return nil }
        let behindHost = rest[..<end].dropFirst(authority.host.count)
        var port = 80
        if !behindHost.isEmpty {
            guard let number = Int(behindHost.dropFirst()), (1...65_535).contains(number) else {
                return nil
            }
            port = number
        }
        self.text = text
        self.port = port
        self.authority = String(rest[..<end])
        host =
            authority.host.hasPrefix("[")
            ? String(authority.host.dropFirst().dropLast()) : authority.host
        let target = String(rest[end...])
        self.target = target.hasPrefix("/") ? target : "/" + target
    }
}
