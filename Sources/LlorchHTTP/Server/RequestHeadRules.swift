// What RFC 9110 and 9112 demand of a request's head beyond its grammar, which NIO's parser checks: one Host,
// a target of this server, a transfer coding and an expectation that are known. Which hosts are answered is
// HostRule's to say.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import LlorchProtocol
import NIOHTTP1

enum RequestHeadRules {
    /// The head in the form in which the routes take it: a target that begins with a slash, or `*`, and the
    /// host of that target in `Host`.
    ///
    /// - Throws: the refusal of a head that breaks a rule.
    static func checked(_ head: HTTPRequestHead) throws(Refusal) -> HTTPRequestHead {
        var head = head
        guard head.version.major == 1 else { throw unknownVersion }
        try checkHost(&head)
        try checkFraming(head)
        try checkExpectation(&head)
        try checkTarget(&head)
        return head
    }

    /// Whether the client wants no further answer on this connection.
    static func wantsClose(_ head: HTTPRequestHead) -> Bool {
        let tokens = tokens(of: "connection", in: head)
        if tokens.contains("close") || head.method == .CONNECT { return true }
        // NIO's parser reads nothing behind a request that asks for another protocol.
        if tokens.contains("upgrade"), head.headers.contains(name: "upgrade") { return true }
        return head.version.minor == 0 && !tokens.contains("keep-alive")
    }

    /// Whether the client waits for `100 Continue` before it sends the body.
    static func awaitsContinue(_ head: HTTPRequestHead) -> Bool {
        head.headers.contains(name: "expect")
    }

    // MARK: - Host

    private static func checkHost(_ head: inout HTTPRequestHead) throws(Refusal) {
        let hosts = head.headers["host"]
        guard hosts.count <= 1 else {
            throw Refusal(
                .badRequest, field: "host", constraint: "exactly_one",
                "a request must have one Host header, this one has \(hosts.count)")
        }
        guard let host = hosts.first, !(host.isEmpty && head.version.minor == 0) else {
            // Programs that watch over others, HAProxy's for one, ask in HTTP/1.0 without Host.
            head.headers.remove(name: "host")
            guard head.version.minor == 0 else {
                throw Refusal(
                    .badRequest, field: "host", constraint: "exactly_one",
                    "a request of HTTP/1.1 must have a Host header")
            }
            return
        }
        guard Authority(host) != nil else { throw invalidHost(host) }
    }

    private static func invalidHost(_ host: String) -> Refusal {
        Refusal(
            .badRequest, field: "host", constraint: "valid_host",
            "the host must be a name, an IPv4 address or an IPv6 address in brackets, with a port "
                + "or none", value: String(host.prefix(100)))
    }

    // MARK: - Body

    private static func checkFraming(_ head: HTTPRequestHead) throws(Refusal) {
        guard head.headers.contains(name: "transfer-encoding") else { return }
        let codings = tokens(of: "transfer-encoding", in: head)
        guard head.version.minor > 0, !head.headers.contains(name: "content-length") else {
            throw Refusal(
                .badRequest, field: "transfer-encoding", constraint: "framing",
                "a body has either Content-Length or, in HTTP/1.1, Transfer-Encoding")
        }
        guard codings != ["chunked"] else { return }
        guard codings.last == "chunked", !codings.dropLast().contains("chunked") else {
            throw Refusal(
                .badRequest, field: "transfer-encoding", constraint: "framing",
                "a body's last transfer coding must be chunked, and no other")
        }
        throw Refusal(
            .notImplemented, field: "transfer-encoding", constraint: "chunked",
            "the only transfer coding that this server knows is chunked")
    }

    private static func checkExpectation(_ head: inout HTTPRequestHead) throws(Refusal) {
        guard head.headers.contains(name: "expect") else { return }
        let hasBody =
            head.headers.contains(name: "transfer-encoding")
            || (head.headers.first(name: "content-length").map { $0 != "0" } ?? false)
        let expected = tokens(of: "expect", in: head)
        if head.version.minor == 0 || expected == ["100-continue"] {
            // HTTP/1.0 has no 100, and without a body there is nothing to wait for.
            if head.version.minor == 0 || !hasBody { head.headers.remove(name: "expect") }
            return
        }
        throw Refusal(
            .expectationFailed, field: "expect", constraint: "100-continue",
            "the only expectation that this server meets is 100-continue")
    }

    // MARK: - Target

    private static func checkTarget(_ head: inout HTTPRequestHead) throws(Refusal) {
        if head.method == .CONNECT {
            throw Refusal(
                .notImplemented, field: "method", constraint: "known_method",
                "this server is no proxy: it does not know CONNECT")
        }
        let target = head.uri
        guard target.utf8.allSatisfy({ (0x21...0x7e).contains($0) && $0 != 0x23 }) else {
            throw invalidTarget
        }
        if target == "*" {
            guard head.method == .OPTIONS else { throw invalidTarget }
        } else if target.hasPrefix("/") {
            head.uri = withPlainLetters(target)
        } else {
            try takeAbsolute(target, &head)
        }
    }

    /// `http://host/path`: the target's host counts, not the one in `Host`.
    private static func takeAbsolute(
        _ target: String, _ head: inout HTTPRequestHead
    ) throws(Refusal) {
        let scheme = "http://"
        if target.prefix(8).lowercased() == "https://" {
            throw Refusal(
                .misdirectedRequest, field: "target", constraint: "scheme(http)",
                "this port serves http, not https")
        }
        guard target.prefix(scheme.count).lowercased() == scheme else { throw invalidTarget }
        let rest = target.dropFirst(scheme.count)
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        guard Authority(String(authority)) != nil else { throw invalidHost(String(authority)) }
        head.headers.replaceOrAdd(name: "host", value: String(authority))
        let path = rest.dropFirst(authority.count)
        if path.isEmpty {
            head.uri = head.method == .OPTIONS ? "*" : "/"
        } else {
            head.uri = withPlainLetters(path.hasPrefix("/") ? String(path) : "/" + path)
        }
    }

    private static var invalidTarget: Refusal {
        Refusal(
            .badRequest, field: "target", constraint: "valid_target",
            "the request's target must be a path, such as /health, in visible ASCII characters")
    }

    /// Letters, digits, `-`, `.`, `_` and `~` mean the same with and without percent-encoding.
    private static func withPlainLetters(_ target: String) -> String {
        let bytes = Array(target.utf8)
        let end = bytes.firstIndex(of: UInt8(ascii: "?")) ?? bytes.count
        guard bytes[..<end].contains(UInt8(ascii: "%")) else { return target }
        var result: [UInt8] = []
        var index = 0
        while index < end {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < end,
                let high = hexadecimal(bytes[index + 1]), let low = hexadecimal(bytes[index + 2]),
                isUnreserved(high << 4 | low)
            {
                result.append(high << 4 | low)
                index += 3
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: result + bytes[end...], as: UTF8.self)
    }

    // MARK: - Pieces

    private static var unknownVersion: Refusal {
        Refusal(
            .httpVersionNotSupported, field: "version", constraint: "HTTP/1.1",
            "this server speaks HTTP/1.1 and HTTP/1.0")
    }

    private static func tokens(of name: String, in head: HTTPRequestHead) -> [String] {
        head.headers[name].flatMap { $0.split(separator: ",", omittingEmptySubsequences: true) }
            .map { $0.filter { $0 != " " && $0 != "\t" }.lowercased() }
            .filter { !$0.isEmpty }
    }

    fileprivate static func hexadecimal(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    fileprivate static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: "_"), UInt8(ascii: "~"):
            true
        default: false
        }
    }
}
