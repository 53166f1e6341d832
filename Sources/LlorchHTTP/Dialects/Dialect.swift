// What differs between one HTTP interface and another that answers a request with one job's events: how the
// request names a job, and how the events look. The route of such an interface: JobRoute.swift.
// SPDX-License-Identifier: Apache-2.0

package import HTTPTypes
package import LlorchProtocol

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
package protocol Dialect: RefusalStyle {
    /// Reads a request; `body` is all of it.
    func jobRequest(headers: HTTPFields, body: [UInt8]) throws(Refusal) -> JobRequest

    /// Makes the bytes of the answer; the job has its seed, except where a client comes back without it.
    func framer(for request: JobRequest) -> any StreamFramer

    /// Headers of an answer that streams.
    var streamHeaders: HTTPFields { get }
}
