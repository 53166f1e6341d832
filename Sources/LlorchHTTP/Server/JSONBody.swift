// The bytes of a JSON request body. The content type is checked before the size, so that clients see the same
// error first as with other servers of this interface. The contents: LlorchProtocol/Wire/ExecuteRequest.swift.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
package import HummingbirdCore
import LlorchJSON
import LlorchProtocol
import NIOCore

extension Request {
    /// Reads the whole body, at most 2 MiB of it.
    ///
    /// A client that waits for `100 Continue` is told to send the body once nothing speaks against it.
    package func jsonBody(_ context: RequestContext) async throws -> [UInt8] {
        guard Self.isJSON(headers[.contentType]) else {
            throw Refusal(
                .unsupportedMediaType, constraint: "content_type(application/json)",
                "Expected request with `Content-Type: application/json`")
        }
        let limit = StrictJSON.Limits.http.maximumBytes
        let tooLarge = Refusal(
            .contentTooLarge, constraint: "max_bytes(\(limit))",
            "length limit exceeded: the body may have at most \(limit) bytes")
        // A length of more digits than a number holds is too large as well.
        if let length = headers[.contentLength], Int(length) ?? .max > limit { throw tooLarge }
        if headers[.expect] != nil { Connection.sendContinue(on: context.channel) }
        do {
            return Array(buffer: try await body.collect(upTo: limit))
        } catch is NIOTooManyBytesError {
            throw tooLarge
        }
    }

    /// `application/json` or `application/*+json`, with or without parameters.
    static func isJSON(_ contentType: String?) -> Bool {
        let essence = (contentType ?? "").prefix { $0 != ";" }
        let type = essence.filter { !$0.isWhitespace }.lowercased()
        guard type.hasPrefix("application/") else { return false }
        let subtype = type.dropFirst("application/".count)
        return subtype == "json" || subtype.hasSuffix("+json") && subtype.utf8.count > 5
    }
}
