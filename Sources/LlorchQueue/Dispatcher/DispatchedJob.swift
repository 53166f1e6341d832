// One job as the dispatcher knows it: where it is, what the client holds, what an event means for it.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchSystem

/// A job between `submit` and its terminal event.
struct DispatchedJob {
    /// What the worker last said about the current attempt.
    enum Stage {
        case sent
        case accepted
        case running
    }

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

    let job: GenerationJob
    /// Orders jobs by submission.
    let ordinal: UInt64
    let deadlineAt: Duration?

    /// Of the copy last sent; before the first, of the last job of this id, or 0.
    var attempt: UInt32
    /// Who has that copy; nil while the job waits here.
    var worker: String?
    /// The current attempt was sent once only.
    var isFresh = false
    var stage = Stage.sent

    /// When to send the same copy again.
    var askAt: Duration
    /// When a copy was last sent.
    private(set) var askedAt: Duration
    private var isGapOpen = false
    /// Why the last copy was sent.
    private(set) var isAskedAfterGap = false
    /// When to send the next cancel; nil while nobody wants one.
    var cancelAt: Duration?

    /// The client has its terminal event; the job stays until the worker agrees.
    var isAnswered = false
    var isAcceptanceTold = false
    private(set) var isStartTold = false
    /// Token ids that the job came with, and of the pieces the client was given: where any worker goes on.
    private(set) var ids: [TokenID]
    /// Of the worker that gave them; another model would go on differently.
    private(set) var model: ModelFacts?

    /// A process of a worker.
    struct Holder: Hashable {
        var worker: String
        var boot: UInt64
    }

    /// Who last fell silent with a copy; its next process may tell what it died of.
    var silentHolder: Holder?
    private var deaths: Set<Holder> = []
    /// Processes that died while they ran it.
    var crashes: Int { deaths.count }
    var failures = 0
    /// Copies sent since the last word about the job.
    private(set) var unanswered = 0
    /// Events that did not fit, since the last piece that did.
    private var misfits = 0
    private static let misfitLimit = 10

    init(_ job: GenerationJob, ordinal: UInt64, after attempt: UInt32, now: Duration) {
        self.job = job
        self.attempt = attempt
        self.ordinal = ordinal
        deadlineAt = job.deadlineMilliseconds.map { now + .milliseconds($0) }
        askAt = now
        askedAt = now
        ids = job.resumeIDs
    }

    /// Whether time alone asks for something to be done.
    func isDue(now: Duration, _ configuration: Dispatcher.Configuration) -> Bool {
        if let deadlineAt, now >= deadlineAt { return true }
        if worker == nil { return model != nil }
        return now >= cancelAt ?? askAt
    }

    /// The copy to send now: it goes on after what is held; and the worker counts the deadline from
    /// receipt, so time spent is taken off.
    func message(now: Duration) -> DispatcherMessage {
        var copy = job
        copy.resumeIDs = ids
        copy.deadlineMilliseconds = deadlineAt.map {
            UInt32(clamping: max(1, ($0 - now).wholeMilliseconds))
        }
        return .job(copy, attempt: attempt)
    }

    mutating func sent(to name: String, now: Duration, _ configuration: Dispatcher.Configuration) {
        attempt += 1
        worker = name
        isFresh = true
        stage = .sent
        unanswered = 0
        asked(now: now, configuration)
    }

    /// The worker may know the job by an attempt of an earlier dispatcher, and then ignores this one:
    /// a higher one is only another label to a worker that has the job.
    mutating func relabel() {
        attempt += 1
        unanswered = 0
    }

    /// Counts each process once, however its death was noticed.
    mutating func blame(_ holder: Holder) {
        deaths.insert(holder)
    }

    mutating func asked(now: Duration, _ configuration: Dispatcher.Configuration) {
        unanswered += 1
        askedAt = now
        askAt = now + configuration.quiet
        isAskedAfterGap = isGapOpen
        isGapOpen = false
    }

    /// The copy did not leave.
    mutating func notAsked(now: Duration, _ configuration: Dispatcher.Configuration) {
        unanswered = max(0, unanswered - 1)
        askAt = now + configuration.cancelInterval
    }

    /// Rule 2 now, but not more often than cancels.
    mutating func askSoon(now: Duration, _ configuration: Dispatcher.Configuration) {
        isGapOpen = true
        askAt = min(askAt, max(now, askedAt + configuration.cancelInterval))
    }

    /// News of the current attempt.
    mutating func heard(
        _ state: WorkerEvent.Acceptance.State, now: Duration,
        _ configuration: Dispatcher.Configuration
    ) {
        switch (state, stage) {
        case (.queued, .sent): stage = .accepted
        case (.running, _): stage = .running
        default: break
        }
        unanswered = 0
        if !isGapOpen { askAt = now + configuration.quiet }
    }

    /// Whether this answer to a copy means that the worker had the job: a new one is queued first.
    func isReplay(_ state: WorkerEvent.Acceptance.State) -> Bool {
        switch state {
        case .done: true
        case .running: isAcceptanceTold
        case .queued: false
        }
    }

    /// Whether a worker with these facts would go on as the client's text began.
    func canContinue(with facts: ModelFacts?) -> Bool {
        guard let model else { return true }
        guard let facts else { return false }
        return model.digest == facts.digest && model.precision == facts.precision
    }

    /// Judges an event and counts it as given where it is new.
    mutating func judge(_ event: TokenEvent, model facts: ModelFacts?) -> Verdict {
        switch event {
        case .started:
            if isStartTold { return .known }
            isStartTold = true
            return .new
        case .token(let piece):
            return judge(piece, model: facts)
        case .metrics(let metrics):
            return isStartTold && metrics.tokensOut >= ids.count ? .new : .known
        case .end(let end):
            if isAnswered || isStartTold && end.tokensOut == ids.count { return .new }
            return misfit(
                "the worker ends after \(end.tokensOut) tokens, \(ids.count) were received")
        case .error:
            return .new
        }
    }

    private mutating func judge(_ piece: TokenEvent.TokenPiece, model facts: ModelFacts?) -> Verdict
    {
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
        guard end <= job.maximumTokens else {
            return .diverged(
                JobFailure(
                    .diverged, "the worker answers with more than \(job.maximumTokens) tokens"))
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
