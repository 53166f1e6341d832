// Which web pages of other origins may use the server from a browser (CORS, the Fetch standard). By which names the
// server may be addressed at all: HostRule.swift. The server's own page is of its own origin and needs none of this.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import HummingbirdCore

/// Why a text is no origin.
package struct AllowedOriginError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String
}

/// Where a web page comes from: scheme, host and port, as a browser writes them in `Origin`.
package struct AllowedOrigin: Sendable, Hashable {
    let text: String

    /// Takes `https://app.example`, with a port or without.
    package init(parsing text: String) throws(AllowedOriginError) {
        guard let form = Self.browsersForm(of: text) else {
            throw AllowedOriginError(
                description:
                    "expected scheme://host or scheme://host:port without a path, for "
                    + "example https://app.example")
        }
        self.text = form
    }

    /// Nil for what no `Origin` of a page can be: `*`, `null`, a path, a user.
    private static func browsersForm(of text: String) -> String? {
        let text = text.lowercased()
        let scheme = text.prefix { $0 != ":" }
        let rest = text.dropFirst(scheme.count)
        guard rest.hasPrefix("://"), scheme.utf8.first.map(isLetter) == true,
            scheme.utf8.allSatisfy({
                isLetter($0) || (0x30...0x39).contains($0) || "+-.".utf8.contains($0)
            })
        else { return nil }
        let host = rest.dropFirst(3)
        guard !host.hasSuffix(":"), !host.contains("*"), Authority(String(host)) != nil else {
            return nil
        }
        // Browsers leave out the port that the scheme has anyway.
        for (scheme, port) in [("http", ":80"), ("https", ":443")]
        where text.hasPrefix(scheme + "://") && text.hasSuffix(port) {
            return String(text.dropLast(port.count))
        }
        return text
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
    }
}

/// Answers preflights, and marks the answers that a page of an allowed origin may read.
struct OriginRule: Sendable {
    private let origins: Set<String>

    /// Beside the few that every page may read.
    private static let readable = "X-Correlation-ID, Retry-After, Allow, WWW-Authenticate"

    init(allowing origins: [AllowedOrigin]) {
        self.origins = Set(origins.map(\.text))
    }

    /// The answer to a browser that asks whether a page may send a request; nil if this is no such question.
    ///
    /// The question has no token: browsers send it by themselves. Which methods a path has is not its business;
    /// the request itself is answered 404 or 405, and the page may read that.
    func answerToPreflight(_ request: Request) -> Response? {
        guard request.method == .options, allowed(request) != nil,
            request.headers[.accessControlRequestMethod] != nil
        else { return nil }
        var headers: HTTPFields = [
            .accessControlAllowMethods: "GET, HEAD, POST", .accessControlMaxAge: "600",
        ]
        if let asked = Self.names(in: request.headers[.accessControlRequestHeaders]) {
            headers[.accessControlAllowHeaders] = asked
        }
        return Response(status: .noContent, headers: headers)
    }

    /// Adds what a browser must see before it shows the answer to the page; nothing without `--allowed-origin`.
    func mark(_ response: inout Response, to request: Request) {
        guard !origins.isEmpty else { return }
        // Else a cache might give the answer for one page to another.
        response.headers[.vary] = "Origin"
        guard let origin = allowed(request) else { return }
        response.headers[.accessControlAllowOrigin] = origin
        response.headers[.accessControlExposeHeaders] = Self.readable
    }

    /// The origin of the request, where it is one of those allowed.
    private func allowed(_ request: Request) -> String? {
        request.headers[.origin].flatMap { origins.contains($0) ? $0 : nil }
    }

    /// The headers that the page wants to send, all of which it may; nil for what is no list of names.
    private static func names(in asked: String?) -> String? {
        guard let asked else { return nil }
        let names = asked.split(separator: ",").map { part in
            // A name with a space in its middle stays one, and so is none.
            part.split(separator: " ").joined(separator: " ")
        }
        guard !names.isEmpty, names.allSatisfy({ HTTPField.Name($0) != nil }) else { return nil }
        return names.joined(separator: ", ")
    }
}
