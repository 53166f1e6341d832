// Tells whoever started this server that it can take jobs, once: when its port is open and the first worker serves.
// Requests are answered before that too, because who knows the address need not have it from the callback.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
package import Logging
import ServiceLifecycle

/// Ends with success when the callback was taken, and with an error when it was not.
package struct ReadyCallback: Service, CustomStringConvertible {
    /// What the callback says, and to whom.
    package struct Options: Sendable {
        /// Nil tells nobody.
        package var url: CallbackURL?
        package var workerID = ""
        /// The host in the address that is told.
        package var host = "localhost"
        /// The model that whoever started this server expects; nil takes the name that the worker tells.
        package var modelReference: String?
        /// The pauses between one attempt and the next.
        package var pauses = Self.standardPauses

        package init() {}

        /// Some six seconds in all: a manager that is starting again has time to listen.
        package static let standardPauses: [Duration] = [100, 200, 400, 800, 1_600, 3_200].map {
            .milliseconds($0)
        }
    }

    private let options: Options
    private let serving: Serving
    private let logger: Logger
    /// Gives the port when the server listens.
    private let listening = AsyncStream<Int>.makeStream()

    package var description: String { "ReadyCallback" }

    package init(_ options: Options, serving: Serving, logger: Logger) {
        self.options = options
        self.serving = serving
        self.logger = logger
    }

    /// The server listens at this port.
    package func listens(at port: Int) {
        listening.continuation.yield(port)
        listening.continuation.finish()
    }

    package func run() async throws {
        do {
            try await cancelWhenGracefulShutdown { try await work() }
        } catch is CancellationError {
            // The server leaves before it was ready.
        }
    }

    private func work() async throws {
        var port: Int?
        for await listened in listening.stream { port = listened }
        try Task.checkCancellation()
        guard let port else { return }
        let worker = try await firstWorker()
        warn(about: worker)
        let uri = "http://\(Self.bracketed(options.host)):\(port)"
        if let url = options.url, !url.isSkipped {
            try await tell(url, payload(for: worker, uri: uri))
        } else if options.url != nil {
            logger.notice("no callback is made: the URL is that of tests")
        }
        logger.info(
            "ready",
            metadata: [
                "event": "ready", "uri": "\(uri)", "worker": "\(worker.name)",
                "vram_bytes": "0",
            ])
    }

    /// Waits for a worker that serves, however long its model takes to load.
    private func firstWorker() async throws -> Serving.Worker {
        while true {
            if let worker = serving.snapshot().serving.first { return worker }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    private func warn(about worker: Serving.Worker) {
        guard let expected = options.modelReference, let model = worker.status.model,
            !Self.isName(model.name, of: expected)
        else { return }
        logger.warning(
            "the worker has another model than --model says",
            metadata: [
                "expected": "\(expected)", "found": "\(model.name)", "worker": "\(worker.name)",
            ])
    }

    /// Whether a worker's model name is the expected text or the last part of it, as of a path.
    static func isName(_ name: String, of reference: String) -> Bool {
        let last = reference.split(separator: "/").last.map(String.init) ?? reference
        return name == reference || name == last || last.hasPrefix(name + ".")
    }

    private func payload(for worker: Serving.Worker, uri: String) -> ReadyPayload {
        ReadyPayload(
            workerID: options.workerID,
            modelReference: options.modelReference ?? worker.status.model?.name ?? "",
            memoryBytes: serving.snapshot().memoryBytes, uri: uri)
    }

    /// Tries until an answer is 2xx; throws after the last attempt.
    private func tell(_ url: CallbackURL, _ payload: ReadyPayload) async throws {
        let body = payload.json
        var last = ""
        for attempt in 0...options.pauses.count {
            if attempt > 0 { try await Task.sleep(for: options.pauses[attempt - 1]) }
            do throws(CallbackFailure) {
                let status = try await CallbackRequest.post(body, to: url)
                if (200..<300).contains(status) {
                    logger.info("the callback was taken", metadata: ["status": "\(status)"])
                    return
                }
                last = "status \(status)"
            } catch {
                last = "\(error)"
            }
            logger.warning(
                "the callback was not taken",
                metadata: ["attempt": "\(attempt + 1)", "reason": "\(last)"])
        }
        throw CallbackFailure(
            "--callback-url \(url.shown): not taken in \(options.pauses.count + 1) attempts; the last "
                + "one: \(last)")
    }

    private static func bracketed(_ host: String) -> String {
        host.contains(":") && !host.hasPrefix("[") ? "[\(host)]" : host
    }
}
