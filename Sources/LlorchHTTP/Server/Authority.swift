// `host:port` as RFC 3986 writes it: the value of a `Host` header, or the part of a target before its path.
// Which hosts are answered: Access/HostRule.swift.
// SPDX-License-Identifier: Apache-2.0

/// A host, with a port or without; no user.
struct Authority: Sendable, Hashable {
    /// A name, an IPv4 address, or an IPv6 address in brackets; never empty.
    let host: String

    /// Nil for a text of another form.
    init?(_ text: String) {
        let end: String.Index
        if text.hasPrefix("[") {
            guard let bracket = text.firstIndex(of: "]") else { return nil }
            end = text.index(after: bracket)
            let address = text[..<end].dropFirst().dropLast()
            guard Self.isAddress(address) else { return nil }
        } else {
            end = text.firstIndex(of: ":") ?? text.endIndex
            guard end > text.startIndex, text[..<end].utf8.allSatisfy(Self.isInName) else {
                return nil
            }
        }
        let port = text[end...]
        guard port.isEmpty || port.first == ":", port.dropFirst().utf8.count <= 5,
            port.dropFirst().utf8.allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        host = String(text[..<end])
    }

    /// Hexadecimal digits, colons and dots, then perhaps a zone such as `%25eth0`.
    private static func isAddress(_ text: Substring) -> Bool {
        let address = text.prefix { $0 != "%" }
        return address.contains(":")
            && address.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: ":"), UInt8(ascii: "a")...UInt8(ascii: "f"),
                    UInt8(ascii: "A")...UInt8(ascii: "F"), UInt8(ascii: "."):
                    true
                default: false
                }
            } && text.dropFirst(address.count).utf8.allSatisfy(isInName)
    }

    /// Unreserved characters, percent-encoding and sub-delimiters.
    private static func isInName(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "-._~%!$&'()*+,;=".utf8.contains(byte)
        }
    }
}
