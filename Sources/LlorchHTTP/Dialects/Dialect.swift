// What differs between one HTTP interface and another: how a request names a job, how the answer's events look,
// and how errors look. The route that all of them share: JobRoute.swift.
// SPDX-License-Identifier: Apache-2.0

package import HTTPTypes
package import HummingbirdCore
package import LlorchProtocol
import NIOCore

/// What a client asks for in one request.
package struct JobRequest: Sendable {
    package var job: GenerationJob
    /// Tokens that the client has from an earlier response, whose rest it comes back for; nil asks for all.
    package var lastEventID: Int?

    package init(_ job: GenerationJob, lastEventID: Int? = nil) {
        self.job = job
        self.lastEventID = lastEventID
    }
}

/// One way of speaking about jobs over HTTP; streams and queue know none.
package protocol Dialect: Sendable {
    /// Reads a request; `body` is all of it.
    func jobRequest(headers: HTTPFields, body: [UInt8]) throws(Refusal) -> JobRequest

    /// Makes the bytes of the answer; the job has its seed, except where a client comes back without it.
    func framer(for request: JobRequest) -> any StreamFramer

    /// Headers of an answer that streams.
    var streamHeaders: HTTPFields { get }

    /// The JSON by which a refusal is told.
    func body(of refusal: Refusal) -> [UInt8]
}

extension Dialect {
    /// The answer to a request that is refused.
    package func response(to refusal: Refusal) -> Response {
        var headers: HTTPFields = [.contentType: "application/json"]
        headers.append(contentsOf: refusal.headers)
        return Response(
            status: refusal.status, headers: headers,
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: body(of: refusal))))
    }
}
