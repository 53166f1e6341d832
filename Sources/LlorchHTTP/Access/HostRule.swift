// Which names of this server are answered. The owner of a web page can let the page's own name point at
// 127.0.0.1 (DNS rebinding); a browser then takes this server for the page's own. The page's name in `Host`
// tells the two apart. Whether there is one well-formed Host: Server/RequestHeadRules.swift.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import LlorchProtocol

/// Allows `localhost`, numeric addresses, which no page can let point elsewhere, and the names given.
struct HostRule: Sendable {
    private let names: Set<String>

    init(allowing names: [String]) {
        self.names = Set(names.map { Self.normalized($0[...]) } + ["localhost"])
    }

    /// Nil for a host that is allowed.
    ///
    /// `mayBeMissing` says whether a request without Host is answered. Such a request is in HTTP/1.0, which
    /// no browser speaks, and so comes from no web page.
    func refusal(of authority: String?, mayBeMissing: Bool) -> Refusal? {
        guard let authority, !authority.isEmpty else {
            return mayBeMissing ? nil : Self.refusal("the Host header is missing", found: nil)
        }
        guard let host = Authority(authority)?.host else {
            return Self.refusal("the Host header is no host", found: authority)
        }
        if Self.isNumeric(host) || names.contains(Self.normalized(host[...])) { return nil }
        return Self.refusal("this Host is not allowed", found: authority)
    }

    private static func refusal(_ reason: String, found: String?) -> Refusal {
        let message =
            "\(reason); use localhost or a numeric address, or start the server with "
            + "--allowed-host NAME"
        let value = found.map { String($0.prefix(100)) }
        return Refusal(
            .forbidden, field: "host", constraint: "allowed_host", message, value: value)
    }

    /// Four numbers with dots, or an address in brackets: no name can look like either.
    private static func isNumeric(_ host: String) -> Bool {
        if host.hasPrefix("[") { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                part.utf8.allSatisfy { (0x30...0x39).contains($0) } && UInt8(part) != nil
            }
    }

    /// The case of a name and a dot at its end make no difference.
    private static func normalized(_ host: Substring) -> String {
        (host.hasSuffix(".") ? host.dropLast() : host).lowercased()
    }
}
