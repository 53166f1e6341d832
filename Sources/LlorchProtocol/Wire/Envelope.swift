// What every message of the queue begins with: the version, then the type.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON

/// Versions of the queue protocol.
package enum WireProtocol {
    /// The value of `v` in every message.
    package static let version = 1
}

/// A message whose version and type are known, its other fields still unread.
struct Envelope {
    let type: String
    let object: JSONObject

    /// `referenced` finds the job an unreadable message is about, if it may be answered as that job.
    init(
        parsing bytes: Span<UInt8>, limits: StrictJSON.Limits,
        referenced: (JSONObject) -> JobReference?
    ) throws(WireError) {
        let value: JSONValue
        do {
            value = try StrictJSON.parse(bytes, limits: limits)
        } catch {
            throw WireError(wire: error)
        }
        guard let object = value.asObject else {
            throw WireError(
                malformed: "a message must be a JSON object, this is \(value.kindName)")
        }
        guard let version = object["v"] else {
            throw WireError(malformed: "a message must have v, the protocol version")
        }
        guard version.asNumber?.asUInt64 == UInt64(WireProtocol.version) else {
            throw WireError(
                .unsupportedVersion,
                JobFailure(
                    .unsupportedVersion,
                    "this side speaks version \(WireProtocol.version) of the protocol only"),
                job: referenced(object))
        }
        guard let type = object["type"]?.asString else {
            throw WireError(malformed: "a message must have type, a string")
        }
        self.type = type
        self.object = object
    }
}

extension WireError {
    /// JSON, but no message.
    init(malformed sentence: String, errors: [FieldError] = []) {
        self.init(.schema, JobFailure(.malformed, sentence, errors: errors))
    }

    /// Fields of a known message that are missing, unknown or of the wrong type.
    init(malformed type: String, problems: [FieldError]) {
        let failure = JobFailure(invalid: Array(problems.prefix(JobValidation.reportedErrors)))
        self.init(malformed: "bad \(type): \(failure.message)", errors: failure.errors)
    }

    fileprivate init(wire error: JSONSyntaxError) {
        let kind: Kind =
            switch error.kind {
            case .tooLarge: .tooLarge
            case .duplicateKey: .schema
            default: .syntax
            }
        self.init(
            kind, JobFailure(.malformed, "the message is not acceptable JSON: \(error)"))
    }
}
