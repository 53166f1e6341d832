// One job as the dispatcher knows it: in which state it is, and what its state means for what is due.
// What its worker has: SentCopy.swift. What its client has: AnswerSoFar.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchSystem

/// A job between `submit` and its terminal event.
struct DispatchedJob {
    /// Where the job is; each state has the data that only it needs.
    enum State {
        /// No worker has the job.
        case waiting
        /// A worker has the job, or may have it: `SentCopy.stage` is what the worker said of it.
        case out(SentCopy)
        /// The job is not wanted any more, and its worker is told so until it agrees.
        case ending(SentCopy, Ending)
    }

    /// How far the end of a job that a worker still has is known.
    struct Ending {
        /// When to send the next cancel.
        var cancelAt: Duration
        /// The client has its terminal event; otherwise it is given the worker's.
        var isAnswered: Bool
    }

    /// A process of a worker.
    struct Holder: Hashable {
        var worker: String
        var boot: UInt64
    }

    let job: GenerationJob
    /// Orders jobs by submission.
    let ordinal: UInt64
    let deadlineAt: Duration?

    /// Of the newest copy; before the first copy, of the last job of this id, or 0.
    private(set) var attempt: UInt32
    private(set) var state = State.waiting
    var answer: AnswerSoFar

    /// Who fell silent last with a copy of the job; the next process of that worker may tell what it died of.
    var silentHolder: Holder?
    /// Processes that died while they ran the job; each counts once, however its death was noticed.
    private var deaths: Set<Holder> = []
    /// Times that a worker failed in the job in a way that may pass.
    var failures = 0

    init(_ job: GenerationJob, ordinal: UInt64, after attempt: UInt32, now: Duration) {
        self.job = job
        self.attempt = attempt
        self.ordinal = ordinal
        deadlineAt = job.deadlineMilliseconds.map { now + .milliseconds($0) }
        answer = AnswerSoFar(resuming: job.resumeIDs)
    }

    // MARK: - Reading

    /// What a worker has of the job; nil while the job waits.
    var copy: SentCopy? {
        switch state {
        case .waiting: nil
        case .out(let copy), .ending(let copy, _): copy
        }
    }

    var worker: String? { copy?.worker }

    var ending: Ending? {
        if case .ending(_, let ending) = state { return ending }
        return nil
    }

    var isWaiting: Bool {
        if case .waiting = state { return true }
        return false
    }

    var isRunning: Bool { copy?.stage == .running }
    var isAnswered: Bool { ending?.isAnswered ?? false }
    var crashes: Int { deaths.count }

    /// Whether time alone asks for something to be done.
    func isDue(now: Duration) -> Bool {
        if let deadlineAt, now >= deadlineAt { return true }
        switch state {
        // A worker with its model may have left.
        case .waiting: return answer.model != nil
        case .out(let copy): return now >= copy.question.at
        case .ending(_, let ending): return now >= ending.cancelAt
        }
    }

    /// The copy to send now.
    ///
    /// The worker goes on after the tokens that are held. It counts the deadline from receipt, so the time
    /// spent here is taken off.
    func message(now: Duration) -> DispatcherMessage {
        var copy = job
        copy.resumeIDs = answer.ids
        copy.deadlineMilliseconds = deadlineAt.map {
            UInt32(clamping: max(1, ($0 - now).wholeMilliseconds))
        }
        return .job(copy, attempt: attempt)
    }

    // MARK: - Changing

    mutating func send(to worker: String, now: Duration, _ configuration: Dispatcher.Configuration)
    {
        attempt += 1
        state = .out(SentCopy(to: worker, now: now, configuration))
    }

    /// The worker may know the job by an attempt of an earlier dispatcher, and then ignores this one:
    /// a higher one is only another label to a worker that has the job.
    mutating func relabel() {
        attempt += 1
        withCopy { $0.relabel() }
    }

    /// Changes what is known of the copy that a worker has.
    mutating func withCopy(_ change: (inout SentCopy) -> Void) {
        switch state {
        case .waiting: break
        case .out(var copy):
            change(&copy)
            state = .out(copy)
        case .ending(var copy, let ending):
            change(&copy)
            state = .ending(copy, ending)
        }
    }

    /// What was sent is void; where the only copy of an attempt did not leave, the attempt was none.
    mutating func putBack(asIfNeverSent: Bool) {
        if asIfNeverSent { attempt -= 1 }
        state = .waiting
    }

    /// The worker is to be told from now on that the job is not wanted.
    mutating func beginEnding(isAnswered: Bool, now: Duration) {
        switch state {
        case .waiting: break
        case .out(let copy): state = .ending(copy, Ending(cancelAt: now, isAnswered: isAnswered))
        case .ending(let copy, var ending):
            ending.isAnswered = ending.isAnswered || isAnswered
            state = .ending(copy, ending)
        }
    }

    mutating func planCancel(at time: Duration) {
        guard case .ending(let copy, var ending) = state else { return }
        ending.cancelAt = time
        state = .ending(copy, ending)
    }

    mutating func blame(_ holder: Holder) {
        deaths.insert(holder)
    }

    /// Judges an event of the current attempt and counts it as given where it is new.
    mutating func judge(_ event: TokenEvent, model: ModelFacts?) -> AnswerSoFar.Verdict {
        // The client does not get it, so it need not fit what the client has.
        if case .end = event, isAnswered { return .new }
        return answer.judge(event, of: job, model: model)
    }
}
