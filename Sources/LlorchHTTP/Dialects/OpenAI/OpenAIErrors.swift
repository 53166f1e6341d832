// Refusals and failures as OpenAI's clients expect them: `{"error":{"message","type","param","code"}}`, with the
// statuses and headers by which those clients decide whether they try again.
// SPDX-License-Identifier: Apache-2.0

package import HTTPTypes
import LlorchJSON
import LlorchProtocol

/// How the paths below `/v1/` tell what they refuse.
package struct OpenAIErrors: RefusalStyle {
    package init() {}

    package func status(of refusal: Refusal) -> HTTPResponse.Status {
        switch (refusal.failure.code, refusal.status) {
        case (.queueFull, _): .tooManyRequests
        case (_, .unprocessableContent): .badRequest
        default: refusal.status
        }
    }

    /// With `x-should-retry` for failures: without it the clients would send again what can only fail, such as a
    /// job that kills its worker.
    package func headers(of refusal: Refusal) -> HTTPFields {
        var headers = refusal.headers
        let status = status(of: refusal)
        if status == .tooManyRequests { headers[.retryAfter] = "1" }
        if status == .tooManyRequests || status.kind == .serverError,
            let name = HTTPField.Name("x-should-retry")
        {
            headers[name] = refusal.failure.retriable ? "true" : "false"
        }
        return headers
    }

    package func body(of refusal: Refusal) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("error")
        writer.beginObject()
        writer.member("message", message(of: refusal.failure))
        writer.member("type", type(of: status(of: refusal)))
        writer.member("param", orNull: parameter(of: refusal.failure))
        writer.member("code", orNull: code(of: refusal.failure))
        writer.endObject()
        writer.endObject()
        return writer.bytes
    }

    // MARK: - Pieces

    /// All that is wrong with the request, because there is no list of errors beside the message.
    private func message(of failure: JobFailure) -> String {
        let messages = failure.errors.map { error in
            // The queue has ids of a prompt in a member of their own.
            error.field == "prompt_ids"
                ? error.message.replacing("prompt_ids", with: "prompt") : error.message
        }
        guard !messages.isEmpty else { return failure.message }
        let shown = messages.prefix(Self.shownErrors).joined(separator: "; ")
        let others = messages.count - Self.shownErrors
        return others > 0 ? "\(shown); and \(others) more" : shown
    }

    private static let shownErrors = 8

    private func type(of status: HTTPResponse.Status) -> String {
        switch status.code {
        case 429: "rate_limit_error"
        case 500...: "server_error"
        default: "invalid_request_error"
        }
    }

    /// The member of the request that is wrong; nil for what is no member.
    private func parameter(of failure: JobFailure) -> String? {
        if failure.code == .contextOverflow { return "prompt" }
        guard let field = failure.errors.first?.field, !Self.notMembers.contains(field) else {
            return nil
        }
        return field == "prompt_ids" ? "prompt" : field
    }

    /// What refusals about other parts of a request than the members of its body name as their field.
    private static let notMembers: Set<String> = [
        "authorization", "body", "expect", "headers", "host", "method", "path", "request",
        "target", "transfer-encoding", "version",
    ]

    private func code(of failure: JobFailure) -> String? {
        switch failure.code {
        case .contextOverflow: "context_length_exceeded"
        case .queueFull: "rate_limit_exceeded"
        case .invalidRequest: failure.errors.first.flatMap { Self.codes[$0.constraint] }
        default: failure.code.rawValue.lowercased()
        }
    }

    /// Codes that clients look for, by the rules that were broken.
    private static let codes = [
        "bearer_token": "invalid_api_key", "known_path": "unknown_url",
        "served_model": "model_not_found", "allowed_method": "method_not_supported",
    ]
}

extension JSONWriter {
    mutating func member(_ name: String, orNull text: String?) {
        key(name)
        if let text { string(text) } else { null() }
    }
}
