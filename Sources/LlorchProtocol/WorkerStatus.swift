// What a worker says about itself once a second; its first word is also its announcement.
// SPDX-License-Identifier: Apache-2.0

/// The contents of a `heartbeat` event.
package struct WorkerStatus: Sendable, Hashable {
    /// The raw value is the wire spelling.
    package enum State: String, Sendable, Hashable, CaseIterable {
        case loading
        case idle
        case busy
        /// The reader of events is behind, so the running job is paused.
        case stalled
        case draining
    }

    package var state: State
    /// Endpoints a dispatcher reaches the worker by.
    package var jobs: String
    package var control: String
    /// The running job's id.
    package var running: String?
    /// Jobs waiting in this worker.
    package var queued: Int
    /// Jobs it would still take.
    package var free: Int
    /// Nil until the model is loaded.
    package var model: ModelFacts?
    /// 0 to 1 while loading.
    package var loadProgress: Double?
    /// The job that was running when the previous process of this worker died.
    package var crashedOn: String?
    /// Bytes of events that libzmq has not taken yet; nil from a worker that does not say.
    package var outboxBytes: Int?
    /// Messages refused since the process began that named no job; nil from a worker that does not say.
    package var malformed: Int?

    package init(
        state: State, jobs: String, control: String, running: String? = nil, queued: Int = 0,
        free: Int = 0, model: ModelFacts? = nil, loadProgress: Double? = nil,
        crashedOn: String? = nil, outboxBytes: Int? = nil, malformed: Int? = nil
    ) {
        self.state = state
        self.jobs = jobs
        self.control = control
        self.running = running
        self.queued = queued
        self.free = free
        self.model = model
        self.loadProgress = loadProgress
        self.crashedOn = crashedOn
        self.outboxBytes = outboxBytes
        self.malformed = malformed
    }
}

/// What a dispatcher needs to know about the model a worker has loaded.
package struct ModelFacts: Sendable, Hashable {
    package var name: String
    /// Hexadecimal; workers with equal digests and precisions answer equally, bit for bit.
    ///
    /// A digest tells models apart. It does not prove that a model is genuine.
    package var digest: String
    /// `f32`, `bf16`, `q8` or `q4`.
    package var precision: String
    package var contextLength: Int
    package var vocabularySize: Int
    /// Weights and cache, resident.
    package var memoryBytes: UInt64
    /// `gguf-bpe` for a tokenizer inside a GGUF file, `hf-json` for files of Hugging Face; nil from a worker
    /// that does not say.
    package var tokenizerKind: String?

    package init(
        name: String, digest: String, precision: String, contextLength: Int,
        vocabularySize: Int, memoryBytes: UInt64, tokenizerKind: String? = nil
    ) {
        self.name = name
        self.digest = digest
        self.precision = precision
        self.contextLength = contextLength
        self.vocabularySize = vocabularySize
        self.memoryBytes = memoryBytes
        self.tokenizerKind = tokenizerKind
    }
}
