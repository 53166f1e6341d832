// What the callback tells: the union of the members that any reader of such a callback looks for.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON

/// The body of the callback.
package struct ReadyPayload: Sendable, Hashable {
    package var workerID: String
    package var modelReference: String
    /// Weights and caches of the workers that serve.
    package var memoryBytes: UInt64
    /// Where this server is reached.
    package var uri: String

    package init(workerID: String, modelReference: String, memoryBytes: UInt64, uri: String) {
        self.workerID = workerID
        self.modelReference = modelReference
        self.memoryBytes = memoryBytes
        self.uri = uri
    }

    package var json: [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("worker_id", workerID)
        writer.member("model_ref", modelReference)
        writer.member("vram_bytes", 0)
        writer.member("memory_bytes", memoryBytes)
        writer.member("memory_architecture", "cpu")
        writer.member("worker_type", "cpu")
        writer.member("capabilities", ["text-gen"])
        writer.member("uri", uri)
        writer.endObject()
        return writer.bytes
    }
}
