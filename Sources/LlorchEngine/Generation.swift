// A text in the making, as a sequence of pieces: part of the engine's public face (LanguageModel.swift). The state
// machine behind it: Generation/CPUBackend.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import Synchronization

/// The continuation of one prompt, computed piece by piece while it is iterated.
///
/// A generation is iterated once, by one thread; any thread may cancel it. Each has memory of its own for the
/// positions that the model has seen, so that several may run at the same time.
public final class Generation: Sequence, IteratorProtocol, Sendable {
    /// A part of the text.
    public struct Piece: Sendable, Hashable {
        /// Whole characters; empty only where the last tokens end inside a character or in a stop sequence.
        public let text: String
        /// The tokens that the text was made of.
        public let tokens: [UInt32]
    }

    /// Why there are no more pieces.
    public enum Ending: Sendable, Hashable {
        /// The model ended the text.
        case endOfText
        /// As many tokens were generated as were asked for, or as the context holds.
        case maximumTokens
        /// This stop sequence followed.
        case stopSequence(String)
        /// `cancel()` was called.
        case cancelled
        /// The model gave no usable numbers.
        case failed(LanguageModelError)
    }

    private struct Run: ~Copyable {
        var backend: CPUBackend
        var ending: Ending?
    }

    /// The seed that the text follows from.
    public let seed: UInt64

    private let run: Mutex<Run>
    private let isCancelled = Atomic(false)

    init(_ job: GenerationJob, on model: LoadedModel) throws(LanguageModelError) {
        var backend = try Self.backend(model)
        do {
            try backend.start(job, queuedMilliseconds: 0)
        } catch {
            throw LanguageModelError(error)
        }
        seed = job.seed ?? 0
        run = Mutex(Run(backend: backend, ending: nil))
    }

    private static func backend(_ model: LoadedModel) throws(LanguageModelError) -> CPUBackend {
        do {
            return try CPUBackend(model)
        } catch {
            throw LanguageModelError(.outOfMemory, "\(error)")
        }
    }

    /// Computes the next piece; nil when the text has ended.
    public func next() -> Piece? {
        run.withLock { run in
            while run.ending == nil {
                if isCancelled.load(ordering: .relaxed) {
                    run.backend.cancel()
                    run.ending = .cancelled
                    return nil
                }
                switch run.backend.step() {
                case .event(.token(let piece)): return Piece(text: piece.text, tokens: piece.ids)
                case .event(.end(let end)): run.ending = Ending(end)
                case .event(.error(let failure)):
                    run.ending = .failed(LanguageModelError(failure))
                case .working, .event: continue
                case .finished: return nil
                }
            }
            return nil
        }
    }

    /// Ends the generation before its next piece, within the time of a layer; safe from any thread.
    public func cancel() {
        isCancelled.store(true, ordering: .relaxed)
    }

    /// Why the text ended; nil while it goes on.
    public var ending: Ending? {
        run.withLock { $0.ending }
    }
}

extension Generation.Ending {
    fileprivate init(_ end: TokenEvent.End) {
        self =
            switch end.stopReason {
            case .endOfText: .endOfText
            case .maximumTokens: .maximumTokens
            case .stopSequence: .stopSequence(end.stopSequenceMatched ?? "")
            }
    }
}
