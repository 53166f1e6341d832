// A request that is answered with a status and no stream. How the body of the answer looks is the dialect's:
// Dialects/Dialect.swift. Failures after a stream has begun are events.
// SPDX-License-Identifier: Apache-2.0

package import HTTPTypes
package import LlorchProtocol

/// Thrown by routes; becomes the response.
package struct Refusal: Error, Sendable, Hashable {
    package var status: HTTPResponse.Status
    package var failure: JobFailure

    package init(_ status: HTTPResponse.Status, _ failure: JobFailure) {
        self.status = status
        self.failure = failure
    }

    /// A request of which one thing is wrong.
    package init(
        _ status: HTTPResponse.Status, field: String = "body", constraint: String,
        _ message: String, value: String? = nil
    ) {
        let error = FieldError(
            field: field, constraint: constraint, message: message, value: value)
        self.init(status, JobFailure(.invalidRequest, message, errors: [error]))
    }

    /// A body that could not be read or broke the rules.
    package init(_ error: WireError) {
        self.init(.init(code: error.httpStatus), error.failure)
    }

    /// What the queue answered in place of `started`.
    package init(_ failure: JobFailure) {
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

    /// Headers that every dialect's answer has.
    package var headers: HTTPFields {
        switch status {
        case .serviceUnavailable: [.retryAfter: "1"]
        case .unauthorized: [.wwwAuthenticate: "Bearer"]
        default: [:]
        }
    }
}
