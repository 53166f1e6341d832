// The paths below `/v1/`, as OpenAI has them: completions and models. What is not here is told in OpenAI's words,
// chat for one: GPT-2 has no chat template.
// SPDX-License-Identifier: Apache-2.0

package import HTTPTypes
package import HummingbirdCore
import LlorchProtocol

/// Everything below `/v1/`.
package struct OpenAIRoutes: Sendable {
    package let errors = OpenAIErrors()
    private let completions: CompletionRoute
    private let models: ModelsRoute

    /// The name under which OpenAI's clients report a request.
    private static let requestIDHeader = HTTPField.Name("x-request-id")
    private static let modelPrefix = "/v1/models/"

    package init(
        queue: QueueService, timing: ResponseStream.Timing, limits: JobLimits = JobLimits()
    ) {
        completions = CompletionRoute(queue: queue, timing: timing, limits: limits)
        models = ModelsRoute(serving: queue.serving)
    }

    /// Whether requests for this path are answered here, refusals included; `path` may have a query.
    package static func owns(_ path: String) -> Bool {
        path.hasPrefix("/v1/") || path == "/v1" || path.hasPrefix("/v1?")
    }

    /// Headers that each answer has.
    package static func headers(correlationID: String) -> HTTPFields {
        requestIDHeader.map { [$0: correlationID] } ?? [:]
    }

    package func respond(
        to request: Request, context: RequestContext
    ) async throws -> Response {
        let path = request.uri.path
        switch path {
        case "/v1/completions":
            guard request.method == .post else { return notAllowed("POST") }
            return try await completions.respond(to: request, context: context)
        case "/v1/chat/completions":
            guard request.method == .post else { return notAllowed("POST") }
            throw Refusal(
                .notFound, field: "model", constraint: "chat_template",
                "GPT-2 has no chat template, so this server has no chat; "
                    + "send the text as the prompt of POST /v1/completions")
        case "/v1/models":
            return try answer(request) { models.list() }
        case _ where path.hasPrefix(Self.modelPrefix) && path.count > Self.modelPrefix.count:
            let name = PercentEncoding.decoded(path.dropFirst(Self.modelPrefix.count))
            return try answer(request) { try models.model(named: name ?? "") }
        default:
            throw Refusal(
                .notFound, field: "path", constraint: "known_path",
                "Unknown request URL: there are POST /v1/completions, GET /v1/models and "
                    + "GET /v1/models/{model}")
        }
    }

    private func answer(
        _ request: Request, _ get: () throws -> Response
    ) throws -> Response {
        switch request.method {
        case .get: try get()
        case .head: try get().createHeadResponse()
        default: notAllowed("GET,HEAD")
        }
    }

    private func notAllowed(_ methods: String) -> Response {
        var response = errors.response(
            to: Refusal(
                .methodNotAllowed, field: "method", constraint: "allowed_method",
                "this path has the methods \(methods)"))
        response.headers[.allow] = methods
        return response
    }
}
