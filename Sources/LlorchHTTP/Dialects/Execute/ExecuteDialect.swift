// The first dialect, `POST /execute`: one JSON object in, `text/event-stream` out, errors as `{"errors":[…]}`.
// The rules of a job's members: LlorchProtocol/Wire/ExecuteRequest.swift.
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
package import HTTPTypes
import LlorchProtocol

/// How docs/http-api.md speaks.
package struct ExecuteDialect: Dialect {
    /// Tokens that a job may ask for.
    private let maximumTokens: Int

    package init(maximumTokens: Int = Int(JobValidation.maximumTokens.upperBound)) {
        self.maximumTokens = maximumTokens
    }

    package var streamHeaders: HTTPFields {
        [.contentType: "text/event-stream", .cacheControl: "no-cache"]
    }

    package func jobRequest(
        headers: HTTPFields, body: [UInt8]
    ) throws(Refusal) -> JobRequest {
        var job = try job(of: body)
        let lastEventID = try Self.lastEventID(in: headers)
        try DeadlineHeader.apply(headers, to: &job)
        return JobRequest(job, lastEventID: lastEventID)
    }

    package func framer(for request: JobRequest) -> any StreamFramer {
        EventFramer(
            jobID: request.job.id, seed: request.job.seed ?? 0, lastEventID: request.lastEventID,
            timeOfDay: { Date.now.ISO8601Format() })
    }

    package func body(of refusal: Refusal) -> [UInt8] {
        var failure = refusal.failure
        let field = Self.field(of: failure.code)
        if failure.errors.isEmpty, let field {
            failure.errors = [
                FieldError(
                    field: field, constraint: failure.code.rawValue, message: failure.message)
            ]
        }
        return failure.errorsBody(withCode: field != nil)
    }

    /// The member of the request that a failure without errors of its own is about; nil for the whole body.
    private static func field(of code: JobFailure.Code) -> String? {
        switch code {
        case .contextOverflow: "prompt"
        case .jobIDConflict: "job_id"
        default: nil
        }
    }

    private func job(of body: [UInt8]) throws(Refusal) -> GenerationJob {
        do {
            return try ExecuteRequest(parsing: body, maximumTokens: UInt32(maximumTokens)).job
        } catch {
            throw Refusal(error)
        }
    }

    /// The `id` of the last frame that the client has, of a client that had part of the answer before.
    private static func lastEventID(in headers: HTTPFields) throws(Refusal) -> Int? {
        guard let name = HTTPField.Name("Last-Event-ID"), let text = headers[name] else {
            return nil
        }
        guard let id = Int(text), id >= 0 else {
            throw Refusal(
                .badRequest, field: "Last-Event-ID", constraint: "held",
                "Last-Event-ID must be the id of a frame, a count of tokens")
        }
        return id
    }
}
