// One choice of a completion: the events of its job as chunks of a stream, or kept until the job has ended.
// The route asks how it ended: CompletionRoute.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON
import LlorchProtocol
import Synchronization

/// Written by the queue's thread, read by the response.
final class ChoiceFramer: StreamFramer {
    /// How a job ended.
    enum Outcome: Sendable, Hashable {
        case ended(TokenEvent.End)
        case failed(JobFailure)
    }

    enum Form: Sendable {
        /// Each event becomes a chunk of this answer.
        case chunks(CompletionDocument)
        /// Nothing is written before the job has ended; what is kept counts here.
        case whole(KeptAnswers)
    }

    private struct State {
        var text = ""
        var lists: LogProbabilityLists?
        var outcome: Outcome?
        var keptBytes = 0
    }

    private let index: Int
    private let form: Form
    private let state: Mutex<State>

    init(index: Int, job: GenerationJob, form: Form) {
        self.index = index
        self.form = form
        state = Mutex(State(lists: job.logProbabilities.map(LogProbabilityLists.init)))
    }

    deinit {
        if case .whole(let answers) = form {
            answers.free(state.withLock { $0.keptBytes })
        }
    }

    /// Nil until the job has ended.
    var outcome: Outcome? { state.withLock { $0.outcome } }

    /// The whole choice as JSON; afterwards there is nothing left of it here.
    func takeChoice() -> [UInt8] {
        state.withLock { choice(&$0) }
    }

    // MARK: - StreamFramer

    var keepAlive: [UInt8] {
        switch form {
        case .chunks: Array(": waiting\n\n".utf8)
        case .whole: []
        }
    }

    func bytes(for event: TokenEvent, waited: Duration) -> [UInt8] {
        state.withLock { state in
            guard state.outcome == nil else { return [] }
            switch event {
            case .started, .metrics: return []
            case .token(let piece):
                state.text += piece.text
                for token in piece.logProbabilities { state.lists?.append(token) }
                guard !piece.text.isEmpty || !piece.logProbabilities.isEmpty else { return [] }
            case .end(let end):
                if let mark = end.endMark { state.lists?.append(mark) }
                state.outcome = .ended(end)
            case .error(let failure):
                // The route tells it, and ends the answer.
                state.outcome = .failed(failure)
                return []
            }
            switch form {
            case .chunks(let document): return document.chunk(choices: [choice(&state)])
            case .whole(let answers): return keep(in: answers, &state)
            }
        }
    }

    // MARK: - Pieces

    /// Text and lists since the last time.
    private func choice(_ state: inout State) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("index", index)
        writer.member("text", state.text)
        writer.key("logprobs")
        if let lists = state.lists?.take() { writer.rendered(lists) } else { writer.null() }
        writer.key("finish_reason")
        if case .ended(let end) = state.outcome {
            writer.string(end.stopReason.finishReason)
        } else {
            writer.null()
        }
        writer.endObject()
        state.text = ""
        return writer.bytes
    }

    /// No bytes, or one that wakes the route because there is no room for the answer.
    private func keep(in answers: KeptAnswers, _ state: inout State) -> [UInt8] {
        let bytes = state.text.utf8.count + (state.lists?.byteCount ?? 0)
        let added = bytes - state.keptBytes
        guard answers.take(added) else {
            state.outcome = .failed(KeptAnswers.full)
            state.text = ""
            state.lists = nil
            return [0]
        }
        state.keptBytes = bytes
        return []
    }
}

extension StopReason {
    fileprivate var finishReason: String {
        switch self {
        case .maximumTokens: "length"
        case .endOfText, .stopSequence: "stop"
        }
    }
}
