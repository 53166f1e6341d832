// The bodies an HTTP client sends, and the body a refused one gets back.
// JobValidation checks both these bodies and the queue's messages; only here are unknown members ignored.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON

/// The body of `POST /execute`.
package struct ExecuteRequest: Sendable, Hashable {
    package var job: GenerationJob

    /// The members that are read; others are ignored.
    package static var memberNames: Set<String> { JobFields.sharedNames }

    /// Reads and validates a body; deadline and correlation id come from headers, not from the body.
    ///
    /// `maximumTokens` is the most that a job may ask for; one that asks for no number gets it at most.
    package init(
        parsing bytes: Span<UInt8>,
        maximumTokens: UInt32 = JobValidation.maximumTokens.upperBound
    ) throws(WireError) {
        var reader = FieldReader(try httpObject(bytes))
        let fields = JobFields(sharedFrom: &reader)
        guard reader.problems.isEmpty else { throw WireError(httpSchema: reader.problems) }
        do {
            job = try JobValidation.job(from: fields, maximumTokens: maximumTokens)
        } catch {
            throw WireError(.invalid, JobFailure(invalid: error.errors))
        }
    }

    package init(
        parsing bytes: [UInt8], maximumTokens: UInt32 = JobValidation.maximumTokens.upperBound
    ) throws(WireError) {
        try self.init(parsing: bytes.span, maximumTokens: maximumTokens)
    }
}

/// The body of `POST /cancel`.
package struct CancelRequest: Sendable, Hashable {
    package var jobID: String

    package init(parsing bytes: Span<UInt8>) throws(WireError) {
        var reader = FieldReader(try httpObject(bytes))
        guard let jobID = reader.required("job_id", .text) else {
            throw WireError(httpSchema: reader.problems)
        }
        guard !jobID.isEmpty else {
            let error = FieldError(
                field: "job_id", constraint: "non_empty", message: "job_id must not be empty",
                value: "")
            throw WireError(.invalid, JobFailure(invalid: [error]))
        }
        self.jobID = jobID
    }

    package init(parsing bytes: [UInt8]) throws(WireError) {
        try self.init(parsing: bytes.span)
    }
}

/// The object that a body is.
func httpObject(
    _ bytes: Span<UInt8>, limits: StrictJSON.Limits = .http
) throws(WireError) -> JSONObject {
    let value: JSONValue
    do {
        value = try StrictJSON.parse(bytes, limits: limits)
    } catch {
        throw WireError(http: error)
    }
    guard let object = value.asObject else {
        throw WireError(httpSchema: [
            FieldError(
                field: "body", constraint: "type(object)",
                message: "the body must be an object, found \(value.kindName)")
        ])
    }
    return object
}

extension WireError {
    /// The status of the answer to a body that ended in this error.
    package var httpStatus: Int {
        switch kind {
        case .tooLarge: 413
        case .schema: 422
        case .syntax, .invalid, .unsupportedVersion: 400
        }
    }

    /// The JSON of the answer: `{"errors":[…]}`, so that a client sees all that is wrong at once.
    package func errorsBody() -> [UInt8] { failure.errorsBody() }

    fileprivate init(http error: JSONSyntaxError) {
        let kind: Kind
        let message: String
        var constraint = "valid_json"
        switch error.kind {
        case .tooLarge:
            kind = .tooLarge
            constraint = "max_bytes(\(StrictJSON.Limits.http.maximumBytes))"
            message = "length limit exceeded: the body may have at most \(error.offset) bytes"
        case .duplicateKey:
            kind = .schema
            constraint = "valid_schema"
            message = Self.schemaPrefix + error.description
        default:
            kind = .syntax
            message = "Failed to parse the request body as JSON: " + error.description
        }
        let body = FieldError(field: "body", constraint: constraint, message: message)
        self.init(kind, JobFailure(.invalidRequest, message, errors: [body]))
    }

    fileprivate init(httpSchema problems: [FieldError]) {
        let errors = problems.prefix(JobValidation.reportedErrors).map {
            FieldError(
                field: "body", constraint: "valid_schema", message: Self.schemaPrefix + $0.message)
        }
        self.init(.schema, JobFailure(invalid: errors))
    }

    private static let schemaPrefix =
        "Failed to deserialize the JSON body into the target type: "
}

extension JobFailure {
    /// An `INVALID_REQUEST` whose message is the first error and the number of others.
    package init(invalid errors: [FieldError]) {
        let first = errors.first?.message ?? "the request is not valid"
        let others = errors.count > 1 ? ", and \(errors.count - 1) more; see errors" : ""
        self.init(.invalidRequest, first + others, errors: errors)
    }

    /// `{"errors":[…]}`; a failure without field errors is told as one about the body.
    ///
    /// `withCode` adds `code` and `retriable`, which an `error` event has too.
    package func errorsBody(withCode: Bool = false) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.errors(
            errors.isEmpty
                ? [FieldError(field: "body", constraint: code.rawValue, message: message)]
                : errors)
        if withCode {
            writer.member("code", code.rawValue)
            writer.member("retriable", retriable)
        }
        writer.endObject()
        return writer.bytes
    }
}

extension JSONWriter {
    /// The member `errors`.
    mutating func errors(_ errors: [FieldError]) {
        key("errors")
        beginArray()
        for error in errors {
            beginObject()
            member("field", error.field)
            member("constraint", error.constraint)
            member("message", error.message)
            if let value = error.value { member("value", value) }
            endObject()
        }
        endArray()
    }
}
