// GET /v1/models and /v1/models/{model}, from the last heartbeats. Nothing here waits for a worker.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import HummingbirdCore
import LlorchJSON
import LlorchProtocol
import LlorchSystem
import NIOCore

/// The models of all workers that were heard of late.
struct ModelsRoute: Sendable {
    private let serving: Serving
    /// Clients demand a time; when a model was made is not known here.
    private let created = Timestamp.sinceEpoch().components.seconds

    init(serving: Serving) {
        self.serving = serving
    }

    func list() -> Response {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("object", "list")
        writer.key("data")
        writer.beginArray()
        for name in serving.snapshot().modelNames { write(name, to: &writer) }
        writer.endArray()
        writer.endObject()
        return .json(writer)
    }

    func model(named name: String) throws -> Response {
        let model = try serving.snapshot().model(named: name)
        var writer = JSONWriter()
        write(model.name, to: &writer)
        return .json(writer)
    }

    private func write(_ name: String, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("id", name)
        writer.member("object", "model")
        writer.member("created", created)
        writer.member("owned_by", "llorch")
        writer.endObject()
    }
}

extension Serving.Snapshot {
    /// Of workers that were heard of late and have loaded a model, in the order of the workers' names.
    private var models: [ModelFacts] { workers.filter(isFresh).compactMap(\.status.model) }

    /// Each name once.
    fileprivate var modelNames: [String] {
        models.reduce(into: []) { names, model in
            if !names.contains(model.name) { names.append(model.name) }
        }
    }

    /// The model that is served under this name.
    ///
    /// - Throws: 404 for another name, 503 while no model is known.
    func model(named name: String) throws(Refusal) -> ModelFacts {
        guard !models.isEmpty else {
            try ClientJobs.requireWorker(self)
            throw Refusal(JobFailure(.workerLost, "no worker has told its model; try again soon"))
        }
        // A worker that serves is asked first: it is the one that answers.
        let known = serving.compactMap(\.status.model) + models
        guard let model = known.first(where: { Array($0.name.utf8) == Array(name.utf8) }) else {
            throw Refusal(
                .notFound, field: "model", constraint: "served_model",
                "the model does not exist here; GET /v1/models lists the names")
        }
        return model
    }
}

extension Response {
    static func json(_ writer: JSONWriter) -> Response {
        Response(
            status: .ok, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: writer.bytes)))
    }
}
