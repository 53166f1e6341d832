// Tokenizer, model, sampler and pieces as one state machine: a job in, its events out, a layer at a time.
// Knows no sockets and no queue; the caller watches deadlines and calls `cancel()`.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

/// The engine behind the worker's loop.
package struct CPUBackend: InferenceBackend, ~Copyable {
    /// Where the running job is.
    private enum State {
        /// → `prefilling` by `start`.
        case idle
        /// The tokens `chunk` of the input are in the pass, blocks below `layer` are done; `rest` follows.
        /// → itself, `decoding` after the last chunk, `finished`.
        case prefilling(chunk: Range<Int>, rest: TokenChunks, layer: Int)
        /// The last token is in the pass, blocks below `layer` are done. → itself, `finished`.
        case decoding(layer: Int)
        /// Events are left to give out, the terminal one last. → `idle`.
        case finished
    }

    package let facts: ModelFacts
    private let loaded: LoadedModel
    private var cache: KVCache
    private var activations: Activations
    private var sampler: Sampler
    private var state = State.idle
    private var job: RunningJob?
    /// Events not given out yet, oldest first; at most four.
    private var pending: [TokenEvent] = []

    /// - Parameters:
    ///   - loaded: the model.
    ///   - chunkLength: tokens of a prefill chunk; nil lets the model choose.
    /// - Throws: where memory is too short for the cache or the buffers.
    package init(_ loaded: LoadedModel, chunkLength: Int? = nil) throws(MemoryShortage) {
        let cache = try loaded.model.makeCache()
        let activations = try loaded.model.makeActivations(chunkLength: chunkLength)
        self.loaded = loaded
        sampler = Sampler(
            vocabularySize: loaded.tokenCount, kernels: loaded.model.kernels)
        var facts = loaded.facts
        facts.memoryBytes += UInt64(cache.byteCount + activations.byteCount)
        self.facts = facts
        self.cache = cache
        self.activations = activations
        pending.reserveCapacity(4)
    }

    // MARK: - InferenceBackend

    package mutating func start(
        _ job: GenerationJob, queuedMilliseconds: Int
    ) throws(JobFailure) {
        precondition(self.job == nil && pending.isEmpty, "a job is running")
        try start(
            job,
            promptIDs: loaded.tokenizer.tokenize(
                job.prompt, parsingSpecialTokens: job.specialTokens),
            queuedMilliseconds: queuedMilliseconds)
    }

    /// As `start(_:queuedMilliseconds:)` with a prompt that is tokenized already; the job's text is ignored.
    package mutating func start(
        _ job: GenerationJob, promptIDs: [TokenID], queuedMilliseconds: Int
    ) throws(JobFailure) {
        var running = try RunningJob(
            job, promptIDs: promptIDs, loaded: loaded, queuedMilliseconds: queuedMilliseconds)
        sampler.start(SamplingSettings(job.sampling), seed: running.seed)
        for id in job.resumeIDs { sampler.append(id) }
        cache.reset()
        pending.append(.started(running.startedEvent(modelName: facts.name)))
        if let end = running.endWithoutGenerating() {
            finish(&running, end)
        } else {
            beginChunk(
                of: TokenChunks(0..<running.input.count, length: activations.chunkLength))
        }
        self.job = running
    }

    package mutating func step() -> BackendStep {
        if !pending.isEmpty { return .event(pending.removeFirst()) }
        switch state {
        case .idle: return .finished
        case .finished:
            cancel()
            return .finished
        case .prefilling(let chunk, let rest, let layer):
            prefill(chunk, rest: rest, layer: layer)
        case .decoding(let layer):
            decode(layer: layer)
        }
        return pending.isEmpty ? .working : .event(pending.removeFirst())
    }

    package mutating func cancel() {
        pending.removeAll(keepingCapacity: true)
        job = nil
        state = .idle
    }

    // MARK: - One step

    private mutating func beginChunk(of chunks: TokenChunks) {
        var rest = chunks
        guard let chunk = rest.next() else { return }
        state = .prefilling(chunk: chunk, rest: rest, layer: 0)
    }

    private mutating func prefill(_ chunk: Range<Int>, rest: TokenChunks, layer: Int) {
        guard var job = job else { return }
        let isLast = chunk.upperBound == job.input.count
        runLayer(
            layer, tokens: job.input.span.extracting(chunk), logits: isLast ? .last : .none)
        if layer < loaded.model.blocks.count {
            state = .prefilling(chunk: chunk, rest: rest, layer: layer + 1)
        } else if !isLast {
            beginChunk(of: rest)
        } else {
            job.prefillEnded()
            choose(&job)
            self.job = job
        }
    }

    private mutating func decode(layer: Int) {
        guard var job = job else { return }
        runLayer(layer, tokens: job.input.span.extracting(last: 1), logits: .last)
        if layer < loaded.model.blocks.count {
            state = .decoding(layer: layer + 1)
        } else {
            self.job = nil
            choose(&job)
            self.job = job
        }
    }

    /// Block `layer`, after the embedding where it is the first; past the last block, the logits.
    private mutating func runLayer(_ layer: Int, tokens: Span<UInt32>, logits: LogitRows) {
        var observer = NoObserver()
        let model = loaded.model
        if layer == 0 {
            model.embed(tokens, cache: cache, activations: &activations, observer: &observer)
        }
        if layer < model.blocks.count {
            model.runBlock(
                layer, count: tokens.count, cache: &cache, activations: &activations,
                observer: &observer)
        } else {
            model.finish(
                count: tokens.count, cache: &cache, activations: &activations, logits: logits,
                observer: &observer)
        }
    }

    /// Draws a token from the logits and decides whether the job goes on.
    private mutating func choose(_ job: inout RunningJob) {
        do {
            let token = try Self.draw(from: activations.logits, with: &sampler)
            if let piece = try job.append(token) { pending.append(.token(piece)) }
        } catch {
            // A token without bytes or logits that are no numbers: the model is broken, not the job.
            let failure = JobFailure(.inferenceFailed, "\(error)")
            pending.append(.error(failure))
            state = .finished
            return
        }
        if let reason = job.stopReason {
            finish(&job, reason)
        } else {
            state = .decoding(layer: 0)
        }
    }

    /// Entries behind the tokenizer's last, as padded vocabularies have them, are never chosen.
    private static func draw(
        from logits: borrowing Matrix, with sampler: inout Sampler
    ) throws(SamplingError) -> TokenID {
        let size = sampler.vocabularySize
        return try sampler.sample(logits.row(0).extracting(first: size))
    }

    private mutating func finish(_ job: inout RunningJob, _ reason: StopReason) {
        if let piece = job.lastPiece() { pending.append(.token(piece)) }
        pending.append(.end(job.endEvent(reason)))
        state = .finished
    }
}
