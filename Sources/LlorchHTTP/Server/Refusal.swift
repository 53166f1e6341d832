// A failure known before a stream opens, as an HTTP status with the body `{"errors":[…]}`.
// Failures after that are events: EventFramer.swift.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
package import Hummingbird
package import LlorchProtocol
import NIOCore

/// Thrown by routes; becomes the response.
package struct Refusal: Error, Sendable, Hashable {
    package var status: HTTPResponse.Status
    package var failure: JobFailure

    package init(_ status: HTTPResponse.Status, _ failure: JobFailure) {
        self.status = status
        self.failure = failure
    }

    /// A body that could not be read or broke the rules.
    package init(_ error: WireError) {
        self.init(.init(code: error.httpStatus), error.failure)
    }

    /// A request that cannot be read as one about jobs; the error's field is `body`.
    package init(_ status: HTTPResponse.Status, constraint: String, _ message: String) {
        let error = FieldError(field: "body", constraint: constraint, message: message)
        self.init(status, JobFailure(.invalidRequest, message, errors: [error]))
    }

    /// What the queue answered in place of `started`.
    package init(_ failure: JobFailure) {
        var failure = failure
        let field: String? =
            switch failure.code {
            case .contextOverflow: "prompt"
            case .jobIDConflict: "job_id"
            default: nil
            }
        if let field, failure.errors.isEmpty {
            failure.errors = [
                FieldError(
                    field: field, constraint: failure.code.rawValue, message: failure.message)
            ]
        }
        self.init(Self.status(of: failure.code), failure)
    }

    private static func status(of code: JobFailure.Code) -> HTTPResponse.Status {
        switch code {
        case .invalidRequest, .contextOverflow: .badRequest
        case .jobIDConflict: .conflict
        case .queueFull, .draining, .shutdown, .workerLost, .consumerStalled: .serviceUnavailable
        case .inferenceTimeout: .gatewayTimeout
        case .cancelled, .inferenceFailed, .poison, .diverged, .unsupportedVersion, .malformed,
            .internal:
            .internalServerError
        }
    }

    /// A `Last-Event-ID` from which nothing can be given.
    package static func lastEventID(_ message: String) -> JobFailure {
        JobFailure(
            .invalidRequest, message,
            errors: [FieldError(field: "Last-Event-ID", constraint: "held", message: message)])
    }

    package var response: Response {
        var headers: HTTPFields = [.contentType: "application/json"]
        if status == .serviceUnavailable { headers[.retryAfter] = "1" }
        if status == .unauthorized { headers[.wwwAuthenticate] = "Bearer" }
        return Response(
            status: status, headers: headers,
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: failure.errorsBody())))
    }
}
