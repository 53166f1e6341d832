// A backend that follows a script: any number of steps, a known token at each place, or misbehaviour.
// SPDX-License-Identifier: Apache-2.0

package import LlorchEngine
package import LlorchProtocol

/// Computes nothing: token i of a job is a function of its id and i, so that every stream can be checked.
package struct ScriptedBackend: InferenceBackend {
    /// How one job goes.
    package struct Script: Sendable {
        /// Steps without an event before the first token, and before each later one.
        package var prefillSteps = 2
        package var stepsPerToken = 1
        package var ending = Ending.maximumTokens
        /// While true, steps go by without an event.
        package var isHeld: @Sendable () -> Bool = { false }

        package init() {}
    }

    package enum Ending: Sendable, Hashable {
        case maximumTokens
        /// `start` throws.
        case refuse(JobFailure)
        /// An `error` after this many tokens.
        case fail(JobFailure, afterTokens: Int)
        /// Against the protocol: a token before `started`.
        case tokenFirst
        /// Against the protocol: no terminal event.
        case silence
    }

    package let facts: ModelFacts
    private let script: (GenerationJob) -> Script
    /// Called in each step, where the computation would be: tests block, count or sleep here.
    private let compute: (GenerationJob) -> Void

    private var job: GenerationJob?
    private var current = Script()
    private var pending: [TokenEvent] = []
    private var stepsLeft = 0
    private var tokens = 0

    package init(
        digest: String = "5c4197ed", compute: @escaping (GenerationJob) -> Void = { _ in },
        script: @escaping (GenerationJob) -> Script = { _ in Script() }
    ) {
        facts = ModelFacts(
            name: "scripted", digest: digest, precision: "f32", contextLength: 1_024,
            vocabularySize: 50_257, memoryBytes: 0)
        self.compute = compute
        self.script = script
    }

    /// The piece at a place of any job's answer.
    package static func piece(of jobID: String, at index: Int) -> TokenEvent.TokenPiece {
        var hash: UInt32 = 2_166_136_261
        for byte in jobID.utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        let id = (hash &+ UInt32(truncatingIfNeeded: index) &* 2_654_435_761) % 50_257
        return TokenEvent.TokenPiece(text: "t\(id) ", ids: [id], index: index)
    }

    package mutating func start(
        _ job: GenerationJob, queuedMilliseconds: Int
    ) throws(JobFailure) {
        precondition(self.job == nil, "job \(self.job?.id ?? "") is running")
        current = script(job)
        if case .refuse(let failure) = current.ending { throw failure }
        self.job = job
        tokens = job.resumeIDs.count
        stepsLeft = current.prefillSteps
        let started = TokenEvent.Started(
            model: facts.name, startedAt: "2026-01-01T00:00:00Z", seed: job.seed ?? 0,
            promptTokens: 1, queuedMilliseconds: queuedMilliseconds)
        pending = current.ending == .tokenFirst ? [] : [.started(started)]
    }

    package mutating func step() -> BackendStep {
        guard let job else { return .finished }
        if let event = pending.popLast() { return .event(event) }
        compute(job)
        if current.isHeld() { return .working }
        if stepsLeft > 0 {
            stepsLeft -= 1
            return .working
        }
        if let end = terminal(of: job) {
            self.job = nil
            return end
        }
        let piece = Self.piece(of: job.id, at: tokens)
        tokens += 1
        stepsLeft = current.stepsPerToken
        return .event(.token(piece))
    }

    package mutating func cancel() {
        job = nil
        pending = []
    }

    private func terminal(of job: GenerationJob) -> BackendStep? {
        if case .fail(let failure, let count) = current.ending, tokens >= count {
            return .event(.error(failure))
        }
        guard tokens >= job.maximumTokens else { return nil }
        if current.ending == .silence { return .finished }
        return .event(
            .end(
                TokenEvent.End(
                    tokensOut: tokens, decodeTimeMilliseconds: 0, stopReason: .maximumTokens,
                    promptTokens: 1, prefillMilliseconds: 0)))
    }
}
