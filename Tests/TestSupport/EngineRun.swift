// Runs the shipped forward pass for the checkpoints: over the model as it is, or with one thing
// broken.
// SPDX-License-Identifier: Apache-2.0

package import LlorchEngine
import LlorchProtocol
import Synchronization

/// What was loaded and run already in this process: many checkpoints look at the same run.
struct EngineRuns {
    var loaded: LoadedModel?
    var recordings: [String: ActivationRecorder] = [:]
}

extension CheckpointModel {
    package typealias Source = AlteredSource<StoredModel>

    /// Everything that one forward pass over a prompt shows, all rows' logits included.
    package func recording(of prompt: String) throws -> ActivationRecorder {
        let ids = try self.prompt(prompt).ids
        return try runs.withLock { runs in
            if let recording = runs.recordings[prompt] { return recording }
            let recording = try Self.run(ids, over: loaded(&runs).model)
            runs.recordings[prompt] = recording
            return recording
        }
    }

    /// The same over tensors or a configuration that were changed.
    ///
    /// One at a time, so that a large model is not in memory many times over.
    ///
    /// `altering` breaks something. With `lastBlock`, later blocks are not loaded and there are no
    /// logits.
    package func recording(
        of prompt: String, blocksOnly lastBlock: Int? = nil,
        altering: (inout Source) throws -> Void
    ) throws -> ActivationRecorder {
        let ids = try self.prompt(prompt).ids
        return try runs.withLock { _ in
            var source = try source()
            try altering(&source)
            if let lastBlock {
                source.configuration = source.configuration.with(layerCount: lastBlock + 1)
            }
            return try Self.run(
                ids, over: GPT2(reading: &source, kernels: Self.kernels()),
                logits: lastBlock == nil ? .all : .none)
        }
    }

    /// Lends a session over the model as it is; one at a time.
    package func withSession(_ body: (inout EngineSession) throws -> Void) throws {
        try runs.withLock { runs in
            var session = try EngineSession(loaded(&runs).model)
            try body(&session)
        }
    }

    /// Lends the backend that the worker runs; one at a time.
    package func withBackend(_ body: (inout CPUBackend) throws -> Void) throws {
        try runs.withLock { runs in
            var backend = try CPUBackend(loaded(&runs))
            try body(&backend)
        }
    }

    private func source() throws -> Source {
        AlteredSource(
            try StoredModel(
                ModelDirectory(path: directory), configuration: configuration))
    }

    private func loaded(_ runs: inout EngineRuns) throws -> LoadedModel {
        if let loaded = runs.loaded { return loaded }
        let loaded = try LoadedModel(path: directory, precision: .f32, kernels: Self.kernels())
        runs.loaded = loaded
        return loaded
    }

    private static func kernels() throws -> Kernels {
        guard let kernels = Kernels(.best) else {
            throw Missing(description: "no kernels for \(InstructionSet.best.rawValue)")
        }
        return kernels
    }

    private static func run(
        _ ids: [TokenID], over model: GPT2, logits: LogitRows = .all
    ) throws -> ActivationRecorder {
        var session = try EngineSession(model)
        session.forward(ids, logits: logits)
        return session.recorder
    }
}
