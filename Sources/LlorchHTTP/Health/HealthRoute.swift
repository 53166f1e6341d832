// GET /health from the last heartbeats, and GET /livez. Nothing here waits for a worker.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
package import HummingbirdCore
import LlorchJSON
import LlorchProtocol
import LlorchQueue
import LlorchSystem
import NIOCore

/// 200 while a worker serves, else 503; the body names every field that some poller looks for.
package struct HealthRoute: Sendable {
    let serving: Serving

    package init(serving: Serving) {
        self.serving = serving
    }

    package func health() -> Response {
        let workers = serving.snapshot()
        let isHealthy = workers.isServed
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("status", isHealthy ? "healthy" : "unhealthy")
        writer.member("state", workers.state.spelling)
        writer.members(ofModelIn: workers)
        writer.member("resident", isHealthy)
        writer.member("memory_type", "cpu")
        writer.member("memory_architecture", "cpu")
        writer.member("vram_bytes", 0)
        writer.member("vram_bytes_used", 0)
        writer.member("worker_type", "cpu")
        writer.member("capabilities", ["text-gen"])
        writer.member("protocol", "sse")
        writer.member("uptime_seconds", MonotonicClock.now().components.seconds)
        writer.key("workers")
        writer.beginArray()
        for worker in workers.workers { writer.object(for: worker, in: workers) }
        writer.endArray()
        writer.endObject()
        return Self.json(isHealthy ? .ok : .serviceUnavailable, writer)
    }

    /// The answer to `GET /livez`: this process answers, whatever its workers do.
    package func live() -> Response {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("status", "alive")
        writer.endObject()
        return Self.json(.ok, writer)
    }

    private static func json(_ status: HTTPResponse.Status, _ writer: JSONWriter) -> Response {
        var response = Response(
            status: status, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: writer.bytes)))
        if status == .serviceUnavailable { response.headers[.retryAfter] = "1" }
        return response
    }
}

extension Serving.State {
    fileprivate var spelling: String {
        switch self {
        case .noWorker: "no_worker"
        case .lost: "lost"
        case .idle: "idle"
        case .busy: "busy"
        case .stalled: "stalled"
        case .loading: "loading"
        case .draining: "draining"
        }
    }
}

extension JSONWriter {
    /// The model of the first serving worker, else of any worker: workers of one shim have the same model.
    fileprivate mutating func members(ofModelIn workers: Serving.Snapshot) {
        let serving = workers.serving
        let model = (serving + workers.workers).lazy.compactMap(\.status.model).first
        member("model_loaded", !serving.isEmpty)
        member("memory_bytes", workers.memoryBytes)
        guard let model else { return }
        member("model", model.name)
        member("quant_kind", model.precision)
        member("tokenizer_kind", model.tokenizerKind ?? "hf-json")
        member("vocab_size", model.vocabularySize)
        member("context_length", model.contextLength)
    }

    fileprivate mutating func object(
        for worker: Serving.Worker, in workers: Serving.Snapshot
    ) {
        beginObject()
        member("worker_id", worker.name)
        member("state", worker.status.state.rawValue)
        member("healthy", workers.isServing(worker))
        member("heartbeat_age_ms", workers.age(of: worker).wholeMilliseconds)
        member("queued", worker.status.queued)
        if let conflict = worker.conflict { member("conflict", conflict.rawValue) }
        if let progress = worker.status.loadProgress, progress.isFinite {
            member("load_progress", progress)
        }
        endObject()
    }
}
