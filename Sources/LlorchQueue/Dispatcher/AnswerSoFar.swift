// What the client of a job was given so far, and what each further event is to that client.
// Where the job is meanwhile: DispatchedJob.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

/// The part of a job's answer that its client has: no token twice, none left out.
struct AnswerSoFar {
    /// What an event of the current attempt is to the client.
    enum Verdict {
        case new
        /// The client has it from an earlier copy.
        case known
        /// Something before it is missing.
        case gap
        /// It contradicts what the client has.
        case diverged(JobFailure)
    }

    /// The client knows that a worker has the job.
    var isAcceptanceTold = false
    private(set) var isStartTold = false
    /// Tokens of the prompt, as the worker told; with `echo` they are tokens of the answer.
    private var promptTokens = 0
    /// Token ids that the job came with, then those of the pieces that the client was given.
    ///
    /// Any worker with the same model resumes after them.
    private(set) var ids: [TokenID]
    /// Of the worker that gave the first piece; another model would go on differently.
    private(set) var model: ModelFacts?
    /// Events that did not fit, since the last piece that did.
    private var misfits = 0
    private static let misfitLimit = 10

    init(resuming ids: [TokenID]) {
        self.ids = ids
    }

    /// Whether a worker with these facts would go on as the client's text began.
    func canContinue(with facts: ModelFacts?) -> Bool {
        guard let model else { return true }
        guard let facts else { return false }
        return model.digest == facts.digest && model.precision == facts.precision
    }

    /// Whether this answer to a copy means that the worker had the job: a new one is queued first.
    func isReplay(_ state: WorkerEvent.Acceptance.State) -> Bool {
        switch state {
        case .done: true
        case .running: isAcceptanceTold
        case .queued: false
        }
    }

    /// Judges an event and counts it as given where it is new.
    mutating func judge(
        _ event: TokenEvent, of job: GenerationJob, model facts: ModelFacts?
    ) -> Verdict {
        switch event {
        case .started(let started):
            promptTokens = started.promptTokens
            if isStartTold { return .known }
            isStartTold = true
            return .new
        case .token(let piece):
            return judge(piece, of: job, model: facts)
        case .metrics(let metrics):
            return isStartTold && metrics.tokensOut >= ids.count ? .new : .known
        case .end(let end):
            if isStartTold && end.tokensOut == ids.count { return .new }
            return misfit(
                "the worker ends after \(end.tokensOut) tokens, \(ids.count) were received")
        case .error:
            return .new
        }
    }

    private mutating func judge(
        _ piece: TokenEvent.TokenPiece, of job: GenerationJob, model facts: ModelFacts?
    ) -> Verdict {
        let (end, overflow) = piece.index.addingReportingOverflow(piece.ids.count)
        guard isStartTold, piece.index >= 0, !overflow, piece.index <= ids.count else {
            return .gap
        }
        let known = ids[piece.index..<min(end, ids.count)]
        guard known.elementsEqual(piece.ids.prefix(known.count)) else {
            return .diverged(
                JobFailure(.diverged, "a second attempt answered with other tokens; set a seed"))
        }
        if end <= ids.count { return .known }
        guard piece.index == ids.count else {
            return misfit("the worker answers in pieces other than those received")
        }
        let echoed = job.echo ? min(promptTokens, JobValidation.promptIDCount.upperBound) : 0
        guard end <= job.maximumTokens + echoed else {
            return .diverged(
                JobFailure(
                    .diverged,
                    "the worker answers with more than \(job.maximumTokens + echoed) tokens"))
        }
        guard (job.logProbabilities == nil) == piece.logProbabilities.isEmpty else {
            return .diverged(
                JobFailure(
                    .diverged,
                    "the worker answers "
                        + (job.logProbabilities == nil ? "with" : "without")
                        + " log-probabilities, unlike the job"))
        }
        ids.append(contentsOf: piece.ids)
        misfits = 0
        if model == nil { model = facts }
        return .new
    }

    /// What may be set right by asking again, but not for ever.
    private mutating func misfit(_ sentence: String) -> Verdict {
        misfits += 1
        return misfits < Self.misfitLimit ? .gap : .diverged(JobFailure(.diverged, sentence))
    }
}
