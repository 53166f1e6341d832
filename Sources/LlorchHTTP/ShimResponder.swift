// Paths and methods: another path is 404 without a body, another method 405 with `Allow`. A path with a trailing
// slash is another path, so Hummingbird's router, which ignores the slash, is not used.
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials
package import HTTPTypes
package import HummingbirdCore
import LlorchLog
import LlorchProtocol
import LlorchSystem
import Logging
package import NIOCore

/// The whole HTTP interface.
package struct ShimResponder: Sendable {
    let execute: JobRoute
    let cancel: CancelRoute
    let health: HealthRoute
    let metrics: MetricsRoute
    let description = DescriptionRoute()
    let openAI: OpenAIRoutes
    let page: PageRoute
    let shutdown: ShutdownRoute
    let hosts: HostRule
    let origins: OriginRule
    let token: AccessToken?
    let logger: Logger

    /// Asked by programs that watch over processes; the answers are of no worth to anyone else.
    private static let openPaths: Set<String> = ["/health", "/livez"]
    private static let correlationHeader = HTTPField.Name("X-Correlation-ID")

    package func respond(to request: Request, on channel: any Channel) async throws -> Response {
        let context = RequestContext(
            channel: channel, logger: logger, correlationID: Self.correlationID(of: request))
        var response: Response
        do {
            response = try await route(request, context)
        } catch let refusal as Refusal {
            context.logger.notice(
                "refused",
                metadata: .of(
                    .error,
                    [
                        "path": "\(request.uri.path)", "status": "\(refusal.status.code)",
                        "code": "\(refusal.failure.code.rawValue)",
                    ]))
            metrics.metrics.refused(refusal.failure.code)
            response = style(of: request.uri.path).response(to: refusal)
        }
        if OpenAIRoutes.owns(request.uri.path) {
            response.headers.append(
                contentsOf: OpenAIRoutes.headers(correlationID: context.correlationID))
        }
        if let name = Self.correlationHeader { response.headers[name] = context.correlationID }
        origins.mark(&response, to: request)
        return response
    }

    /// Each path's errors are told in the words of its interface.
    private func style(of path: String) -> any RefusalStyle {
        OpenAIRoutes.owns(path) ? openAI.errors : execute.dialect
    }

    /// Headers and body of the answer to a request that is no valid HTTP, and so reaches no route.
    ///
    /// `target` is nil where the request came to an end before it was known.
    package func answer(
        toInvalid refusal: Refusal, target: String?
    ) -> (HTTPFields, [UInt8]) {
        let correlationID = UUID().uuidString.lowercased()
        logger.notice(
            "refused",
            metadata: [
                "status": "\(refusal.status.code)",
                "constraint": "\(refusal.failure.errors.first?.constraint ?? "")",
                "correlation_id": "\(correlationID)",
            ])
        metrics.metrics.refused(refusal.failure.code)
        var headers: HTTPFields = [.contentType: "application/json"]
        let style = style(of: target ?? "")
        headers.append(contentsOf: style.headers(of: refusal))
        if OpenAIRoutes.owns(target ?? "") {
            headers.append(contentsOf: OpenAIRoutes.headers(correlationID: correlationID))
        }
        if let name = Self.correlationHeader { headers[name] = correlationID }
        return (headers, style.body(of: refusal))
    }

    private func route(_ request: Request, _ context: RequestContext) async throws -> Response {
        let path = request.uri.path
        let isQuestion = request.method == .get || request.method == .head
        if let refusal = hosts.refusal(
            of: request.head.authority,
            mayBeMissing: isQuestion && Self.openPaths.contains(path))
        {
            throw refusal
        }
        if let answer = origins.answerToPreflight(request) { return answer }
        if !Self.openPaths.contains(path), !page.serves(path),
            let refusal = token?.refusal(of: request.headers[.authorization])
        {
            throw refusal
        }
        if OpenAIRoutes.owns(path) {
            return try await openAI.respond(to: request, context: context)
        }
        switch (path, request.method) {
        case ("/execute", .post): return try await execute.respond(to: request, context: context)
        case ("/cancel", .post): return try await cancel.respond(to: request, context: context)
        case ("/health", .get): return health.health()
        case ("/health", .head): return health.health().createHeadResponse()
        case ("/livez", .get): return health.live()
        case ("/livez", .head): return health.live().createHeadResponse()
        case ("/metrics", .get): return metrics.respond()
        case ("/metrics", .head): return metrics.respond().createHeadResponse()
        case ("/openapi.json", .get): return description.respond()
        case ("/openapi.json", .head): return description.respond().createHeadResponse()
        case ("/shutdown", .post) where shutdown.isAllowed:
            return try await shutdown.respond(to: request, context: context)
        case ("/shutdown", _) where shutdown.isAllowed: return Self.notAllowed("POST")
        case ("*", .options):
            return Response(status: .noContent, headers: [.allow: "GET,HEAD,POST,OPTIONS"])
        case ("/execute", _), ("/cancel", _): return Self.notAllowed("POST")
        case ("/health", _), ("/livez", _), ("/metrics", _), ("/openapi.json", _):
            return Self.notAllowed("GET,HEAD")
        default:
            if let response = page.response(to: request) { return response }
            guard let jobID = Self.jobID(inPath: path) else { return Response(status: .notFound) }
            guard request.method == .post else { return Self.notAllowed("POST") }
            return cancel.cancel(jobID, context)
        }
    }

    private static func notAllowed(_ methods: String) -> Response {
        Response(status: .methodNotAllowed, headers: [.allow: methods])
    }

    /// The decoded rest of `/cancel/…`; nil unless the rest is one segment of valid UTF-8.
    static func jobID(inPath path: String) -> String? {
        let prefix = "/cancel/"
        guard path.hasPrefix(prefix) else { return nil }
        let segment = path.dropFirst(prefix.count)
        guard !segment.isEmpty, !segment.contains("/") else { return nil }
        return PercentEncoding.decoded(segment)
    }

    private static func correlationID(of request: Request) -> String {
        if let name = correlationHeader, let given = request.headers[name],
            JobValidation.isCorrelationID(given)
        {
            return given
        }
        return UUID().uuidString.lowercased()
    }
}
