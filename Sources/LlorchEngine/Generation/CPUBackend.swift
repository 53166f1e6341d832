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
        /// The blocks of a chunk have run; the logits of these positions are needed for the log-probabilities of the
        /// tokens behind them. → itself, `prefilling` with all blocks done.
        case scoring(chunk: Range<Int>, rest: TokenChunks, positions: Range<Int>)
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
    private var logProbabilities: LogProbabilities
    private var state = State.idle
    private var job: RunningJob?
    /// Events not given out yet, oldest first: at most four, and those of an echoed prompt.
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
        logProbabilities = LogProbabilities(kernels: loaded.model.kernels)
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
        var running = try RunningJob(job, loaded: loaded, queuedMilliseconds: queuedMilliseconds)
        let echo = try Self.unscoredEcho(&running, loaded.tokenizer)
        sampler.start(SamplingSettings(job.sampling), seed: running.seed)
        for id in running.generated { sampler.append(id) }
        cache.reset()
        pending.append(.started(running.startedEvent(modelName: facts.name)))
        pending += echo
        if running.nextEchoed == nil, let end = running.endWithoutGenerating() {
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
        case .scoring(let chunk, let rest, let positions):
            score(positions, of: chunk, rest: rest)
            return .working
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
        let isDrawn = isLast && !job.isAtLimit
        runLayer(
            layer, tokens: job.input.span.extracting(chunk), logits: isDrawn ? .last : .none)
        if layer < loaded.model.blocks.count {
            let scored = job.scoredPositions.clamped(to: chunk)
            state =
                layer + 1 == loaded.model.blocks.count && !scored.isEmpty
                ? .scoring(chunk: chunk, rest: rest, positions: scored)
                : .prefilling(chunk: chunk, rest: rest, layer: layer + 1)
        } else if !isLast {
            beginChunk(of: rest)
        } else {
            job.prefillEnded()
            self.job = nil
            if let end = job.endWithoutGenerating() {
                finish(&job, end)
            } else {
                choose(&job)
            }
            self.job = job
        }
    }

    /// Echoes the tokens behind some positions with their log-probabilities, as many as one step may take.
    private mutating func score(
        _ positions: Range<Int>, of chunk: Range<Int>, rest: TokenChunks
    ) {
        guard var job = job else { return }
        self.job = nil
        defer { self.job = job }
        let now = positions.prefix(Activations.logitRows)
        var observer = NoObserver()
        loaded.model.computeLogits(
            rows: now.lowerBound - chunk.lowerBound..<now.upperBound - chunk.lowerBound,
            cache: cache, activations: &activations, observer: &observer)
        do {
            for position in now {
                let entry = try Self.logProbability(
                    of: job.input[position + 1], row: position - now.lowerBound,
                    of: activations.logits, for: job, on: loaded, with: &logProbabilities)
                if let piece = try job.echoNext(entry) { pending.append(.token(piece)) }
            }
        } catch {
            return fail(error)
        }
        let left = now.upperBound..<positions.upperBound
        state =
            left.isEmpty
            ? .prefilling(chunk: chunk, rest: rest, layer: loaded.model.blocks.count)
            : .scoring(chunk: chunk, rest: rest, positions: left)
    }

    /// What needs no logits: the whole prompt, or its first token where log-probabilities are asked for.
    private static func unscoredEcho(
        _ job: inout RunningJob, _ tokenizer: Tokenizer
    ) throws(JobFailure) -> [TokenEvent] {
        var events: [TokenEvent] = []
        while let index = job.nextEchoed, index == 0 || job.alternatives == nil {
            if let piece = try job.echoNext(try job.unpredicted(tokenizer)) {
                events.append(.token(piece))
            }
        }
        return events
    }

    /// Nil where the job asks for none.
    private static func logProbability(
        of token: TokenID, row: Int, of logits: borrowing Matrix, for job: RunningJob,
        on loaded: LoadedModel, with logProbabilities: inout LogProbabilities
    ) throws -> TokenLogProbability? {
        guard let alternatives = job.alternatives else { return nil }
        return try logProbabilities.entry(
            for: token, in: logits.row(row), top: alternatives, of: loaded.tokenCount,
            loaded.tokenizer)
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
            let entry = try Self.logProbability(
                of: token, row: 0, of: activations.logits, for: job, on: loaded,
                with: &logProbabilities)
            if let piece = try job.append(token, entry) { pending.append(.token(piece)) }
        } catch {
            return fail(error)
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
        do {
            if let piece = try job.lastPiece() { pending.append(.token(piece)) }
        } catch {
            return fail(error)
        }
        pending.append(.end(job.endEvent(reason)))
        state = .finished
    }

    /// A token without bytes or logits that are no numbers: the model is broken, not the job.
    private mutating func fail(_ error: any Error) {
        let failure = error as? JobFailure ?? JobFailure(.inferenceFailed, "\(error)")
        pending.append(.error(failure))
        state = .finished
    }
}
