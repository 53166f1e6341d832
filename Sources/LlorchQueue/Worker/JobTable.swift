// The worker's side of LLQ/1 as a state machine without I/O or clock: what each message is answered with.
// Jobs that wait or run: LiveJobs.swift. Jobs that ended: AnsweredJobs.swift. Answers on their way: Outbox.swift.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol
import LlorchSystem

/// Every job this worker has or had, one running at a time, first in first out.
///
/// A job that was accepted gets exactly one terminal event, which is kept and repeated on demand
/// until it is acknowledged or too old. `now` is the time since the start of one monotonic clock.
package struct JobTable {
    package struct Limits: Sendable, Hashable {
        package var jobs = 10_000
        package var jobBytes = 64 << 20
        /// Finished jobs kept for replay.
        package var finished = 1_000
        /// A thousand whole contexts of some 10 KB; beside a full outbox, a worker stays within 32 MiB.
        package var finishedBytes = 10 << 20
        package var finishedAge = Duration.seconds(15 * 60)
        /// How long a copy of a job may be under way after its end was acknowledged.
        package var settledAge = Duration.seconds(60)
        /// Ids that were cancelled before they came.
        package var tombstones = 10_000
        package var tombstoneAge = Duration.seconds(10 * 60)
        /// Answers in a second to messages that are no messages.
        package var malformedPerSecond = 10

        package init() {}
    }

    package let limits: Limits
    /// Messages refused because they were not LLQ/1, answered or not.
    package private(set) var malformed = 0
    package private(set) var isDraining = false

    private var live = LiveJobs()
    private var answered: AnsweredJobs
    private var refusals: RefusalRate

    package init(limits: Limits = Limits()) {
        self.limits = limits
        answered = AnsweredJobs(limits: limits)
        refusals = RefusalRate(perSecond: limits.malformedPerSecond)
    }

    // MARK: - Reading

    /// The job that runs, by the newest attempt known.
    package var running: JobReference? { live.running }
    package var queuedCount: Int { live.queuedCount }
    /// Jobs it would still take.
    package var free: Int {
        isDraining || live.bytes >= limits.jobBytes ? 0 : max(0, limits.jobs - queuedCount)
    }
    /// Terminal events that were acknowledged.
    package var acknowledged: Int { answered.acknowledged }
    /// Jobs that ended and were not acknowledged yet, as far as they are remembered.
    package var unacknowledged: Int { answered.unacknowledged }
    /// When `expire` next ends a job; nil is never.
    package var nextDue: Duration? { live.nextDue }

    // MARK: - Messages

    package mutating func receive(_ message: DispatcherMessage, now: Duration) -> [Answer] {
        switch message {
        case .job(let job, let attempt): return take(job, attempt: attempt, now: now)
        case .cancel(let reference): return cancel(reference, now: now)
        case .acknowledge(let reference):
            answered.settle(reference, now: now)
            return []
        case .drain: return drain(now: now)
        case .ping(let jobID?):
            live.renewLease(of: jobID, now: now)
            return []
        case .ping(nil):
            live.renewAllLeases(now: now)
            return []
        }
    }

    /// Answers bytes that were no message; if they name no job, only some in each second are answered.
    package mutating func refuse(_ error: WireError, now: Duration) -> [Answer] {
        if let reference = error.job {
            return [Answer(.job(reference, .error(error.failure)), isRepeatable: true)]
        }
        malformed += 1
        guard refusals.admit(now: now) else { return [] }
        return [Answer(.refusal(error.failure), isRepeatable: true)]
    }

    private mutating func take(_ job: GenerationJob, attempt: UInt32, now: Duration) -> [Answer] {
        let reference = JobReference(jobID: job.id, attempt: attempt)
        if let known = live[job.id] {
            guard attempt >= known.attempt else { return [] }
            guard known.fingerprint == Fingerprint(job) else { return [conflict(reference)] }
            if known.canReplay(from: job.resumeIDs.count) {
                live.relabel(job.id, attempt)
                live.renewLease(of: job.id, now: now)
                if !known.isRunning { live.resume(job.id, after: job.resumeIDs) }
                return [accepted(reference, known.isRunning ? .running : .queued)]
                    + known.replay(as: reference, from: job.resumeIDs.count)
            }
            live.remove(job.id)
        }
        switch answered.recall(job, attempt: attempt, now: now) {
        case .none: return enqueue(job, reference, now: now)
        case .outdated: return []
        case .otherContent: return [conflict(reference)]
        case .cancelled: return [refusal(reference, Self.cancelled)]
        case .ended(let done):
            return [accepted(reference, .done)]
                + done.replay(as: reference, from: job.resumeIDs.count)
        }
    }

    private mutating func enqueue(
        _ job: GenerationJob, _ reference: JobReference, now: Duration
    ) -> [Answer] {
        guard !isDraining else { return [refusal(reference, Self.draining)] }
        guard queuedCount < limits.jobs,
            live.append(
                job, attempt: reference.attempt, now: now, maximumBytes: limits.jobBytes)
        else {
            let failure = JobFailure(.queueFull, "\(queuedCount) jobs wait; try again later")
            return [refusal(reference, failure)]
        }
        return [accepted(reference, .queued)]
    }

    private mutating func cancel(_ reference: JobReference, now: Duration) -> [Answer] {
        let id = reference.jobID
        if let known = live[id] {
            // The job was sent again since: the attempt that is cancelled is over.
            guard reference.attempt >= known.attempt else {
                return [refusal(reference, Self.cancelled)]
            }
            return end(id, .error(Self.cancelled), isRepeatable: true, now: now)
        }
        if let done = answered.end(of: id, now: now) {
            let known = JobReference(jobID: id, attempt: done.attempt)
            return [Answer(.job(known, done.terminal), isRepeatable: true)]
        }
        answered.insertCancel(reference, now: now)
        return [refusal(reference, Self.cancelled)]
    }

    // MARK: - Running

    /// Moves the job at the head of the queue to running.
    ///
    /// - Precondition: none is running.
    package mutating func startNext(
        now: Duration
    ) -> (job: GenerationJob, queuedMilliseconds: Int)? {
        live.startNext().map { next in
            (next.job, Int(clamping: (now - next.receivedAt).wholeMilliseconds))
        }
    }

    /// Takes an event of the running job; a terminal one ends it.
    ///
    /// - Precondition: a job is running.
    package mutating func record(_ event: TokenEvent, now: Duration) -> [Answer] {
        guard let reference = live.running else { preconditionFailure("no job is running") }
        if event.isTerminal {
            return end(reference.jobID, event, isRepeatable: false, now: now)
        }
        live.record(event)
        var isMetrics = false
        if case .metrics = event { isMetrics = true }
        return [Answer(.job(reference, event), isRepeatable: isMetrics)]
    }

    /// The one way out of queue and run: one terminal event, remembered.
    private mutating func end(
        _ id: String, _ event: TokenEvent, isRepeatable: Bool, isRemembered: Bool = true,
        now: Duration
    ) -> [Answer] {
        guard let entry = live.remove(id) else { return [] }
        if isRemembered { answered.insert(entry, terminal: event, now: now) }
        let reference = JobReference(jobID: id, attempt: entry.attempt)
        return [Answer(.job(reference, event), isRepeatable: isRepeatable)]
    }

    // MARK: - Time

    /// Ends jobs whose deadline or lease ran out, and forgets what is too old.
    package mutating func expire(now: Duration) -> [Answer] {
        answered.expire(now: now)
        var answers: [Answer] = []
        for entry in live.due(now: now) {
            answers += end(
                entry.job.id, .error(entry.expiry(now: now)), isRepeatable: true, now: now)
        }
        live.findNextDue(now: now)
        return answers
    }

    /// Takes no more jobs and hands the queued ones back; the running one goes on.
    package mutating func drain(now: Duration) -> [Answer] {
        guard !isDraining else { return [] }
        isDraining = true
        var answers: [Answer] = []
        for entry in live.waiting {
            answers += end(
                entry.job.id, .error(Self.draining), isRepeatable: true, isRemembered: false,
                now: now)
        }
        return answers
    }

    // MARK: - Answers

    private static let cancelled = JobFailure(.cancelled, "cancelled by the dispatcher")
    private static let draining = JobFailure(
        .draining, "this worker takes no more jobs; send it to another")

    private func accepted(
        _ reference: JobReference, _ state: WorkerEvent.Acceptance.State
    ) -> Answer {
        let position = state == .queued ? live.position(of: reference.jobID) : 0
        return Answer(
            .accepted(reference, .init(state: state, position: position, free: free)),
            isRepeatable: true)
    }

    private func refusal(_ reference: JobReference, _ failure: JobFailure) -> Answer {
        Answer(.job(reference, .error(failure)), isRepeatable: true)
    }

    private func conflict(_ reference: JobReference) -> Answer {
        refusal(
            reference,
            JobFailure(
                .jobIDConflict, "a job of other content has this id; choose another id"))
    }
}
