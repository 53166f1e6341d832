// GET / and GET /page/…: the page by which a person uses the server, from files that the program holds. Which
// headers let a browser take nothing but these files is said here; what the page does: page.html, main.js.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import HummingbirdCore
import NIOCore

/// Serves the page's files; nothing in them is secret, so a browser needs no token for them.
struct PageRoute: Sendable {
    private let files: [String: PageFile]

    init() {
        files = [
            "/": PageFile(.html, PackageResources.page_html),
            "/page/page.css": PageFile(.css, PackageResources.page_css),
            "/page/icon.svg": PageFile(.svg, PackageResources.icon_svg),
            "/page/main.js": PageFile(.script, PackageResources.main_js),
            "/page/chart.js": PageFile(.script, PackageResources.chart_js),
            "/page/events.js": PageFile(.script, PackageResources.events_js),
            "/page/form.js": PageFile(.script, PackageResources.form_js),
            "/page/job.js": PageFile(.script, PackageResources.job_js),
            "/page/server.js": PageFile(.script, PackageResources.server_js),
            "/page/text.js": PageFile(.script, PackageResources.text_js),
            "/page/token.js": PageFile(.script, PackageResources.token_js),
            "/page/words.js": PageFile(.script, PackageResources.words_js),
            "/page/workers.js": PageFile(.script, PackageResources.workers_js),
        ]
    }

    /// Whether a path is one of the page's files.
    func serves(_ path: String) -> Bool { files[path] != nil }

    /// The file, or 304 for a browser that has it; nil for a path that is none of the page's.
    func response(to request: Request) -> Response? {
        guard let file = files[request.uri.path] else { return nil }
        guard request.method == .get || request.method == .head else {
            return Response(status: .methodNotAllowed, headers: [.allow: "GET,HEAD"])
        }
        let known = request.headers[.ifNoneMatch] ?? ""
        if file.isNamed(in: known) {
            return Response(status: .notModified, headers: file.headers)
        }
        var headers = file.headers
        headers[.contentType] = file.kind.rawValue
        let response = Response(
            status: .ok, headers: headers,
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: file.bytes)))
        return request.method == .head ? response.createHeadResponse() : response
    }
}

/// One file with the headers of its answers.
private struct PageFile: Sendable {
    enum Kind: String {
        case html = "text/html; charset=utf-8"
        case css = "text/css; charset=utf-8"
        case script = "text/javascript; charset=utf-8"
        case svg = "image/svg+xml"
    }

    let kind: Kind
    let bytes: [UInt8]
    let headers: HTTPFields
    private let tag: String

    /// Only what this server sends is run or shown, and no other page may frame this one.
    ///
    /// `require-trusted-types-for` lets browsers refuse scripts that would make HTML out of text.
    private static let policy =
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        + "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        + "require-trusted-types-for 'script'; trusted-types 'none'"

    init(_ kind: Kind, _ bytes: [UInt8]) {
        self.kind = kind
        self.bytes = bytes
        tag = "\"\(String(Self.hash(bytes), radix: 16))\""
        // A browser may keep the file, and asks each time whether it is still the same: the next version of the
        // program may have another.
        var headers: HTTPFields = [
            .eTag: tag, .cacheControl: "no-cache", .contentSecurityPolicy: Self.policy,
            .xContentTypeOptions: "nosniff", .crossOriginResourcePolicy: "same-origin",
        ]
        if let referrerPolicy = HTTPField.Name("Referrer-Policy") {
            headers[referrerPolicy] = "no-referrer"
        }
        self.headers = headers
    }

    /// Whether `If-None-Match` names this file; RFC 9110 compares without regard to `W/`.
    func isNamed(in condition: String) -> Bool {
        condition.split(separator: ",").contains { part in
            let given = part.filter { $0 != " " && $0 != "\t" }
            return given == "*" || given == tag || given == "W/" + tag
        }
    }

    /// FNV-1a: the name tells versions apart, it proves nothing.
    private static func hash(_ bytes: [UInt8]) -> UInt64 {
        bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}
