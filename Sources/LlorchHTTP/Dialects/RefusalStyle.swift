// How a path tells its refusals: the status, headers and body of an answer that is no success. Which refusal it
// is, is said by whoever throws it: Server/Refusal.swift.
// SPDX-License-Identifier: Apache-2.0

package import HTTPTypes
package import HummingbirdCore
import NIOCore

/// The words in which one interface tells what it refuses.
package protocol RefusalStyle: Sendable {
    func status(of refusal: Refusal) -> HTTPResponse.Status

    /// Headers beside the content type.
    func headers(of refusal: Refusal) -> HTTPFields

    /// The JSON by which a refusal is told.
    func body(of refusal: Refusal) -> [UInt8]
}

extension RefusalStyle {
    package func status(of refusal: Refusal) -> HTTPResponse.Status { refusal.status }

    package func headers(of refusal: Refusal) -> HTTPFields { refusal.headers }

    /// The answer to a request that is refused.
    package func response(to refusal: Refusal) -> Response {
        var headers: HTTPFields = [.contentType: "application/json"]
        headers.append(contentsOf: self.headers(of: refusal))
        return Response(
            status: status(of: refusal), headers: headers,
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: body(of: refusal))))
    }
}
