// The worker's side of LLQ/1 as a state machine without I/O or clock: queued, running, done, cancelled unseen.
// What it answers goes to Outbox.swift. The dispatcher's side: Dispatcher.swift.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol
import LlorchSystem

/// An event to send, before it has a place in the sequence.
package struct Answer: Sendable, Hashable {
    package var body: WorkerEvent.Body
    /// Whether its reader asks again where it is lost, so that a full outbox may leave it out.
    package var isRepeatable: Bool

    package init(_ body: WorkerEvent.Body, isRepeatable: Bool) {
        self.body = body
        self.isRepeatable = isRepeatable
    }
}

/// Every job this worker has or had, one running at a time, first in first out.
///
/// A job that was accepted gets exactly one terminal event, which is kept and repeated on demand
/// until it is acknowledged or too old. `now` is the time since the
/// start of one monotonic clock.
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
    package internal(set) var isDraining = false
    /// Terminal events that were acknowledged.
    package private(set) var acknowledged = 0
    /// Jobs that ended and were not acknowledged yet, as far as they are remembered.
    package var unacknowledged: Int { finished.count }
    package var queuedCount: Int { jobs.count - (runningID == nil ? 0 : 1) }
    /// Jobs it would still take.
    package var free: Int {
        isDraining || jobBytes >= limits.jobBytes ? 0 : max(0, limits.jobs - queuedCount)
    }
    /// When `expire` next has something to do.
    package private(set) var nextDue: Duration?

    var jobs: [String: QueuedJob] = [:]
    var runningID: String?
    private var queue = JobFIFO()
    private var jobBytes = 0
    private var finished: RecencyCache<FinishedJob>
    /// With the attempt that was cancelled: a higher one is another job.
    private var tombstones: RecencyCache<UInt32>
    /// Ends that have arrived, kept a little for copies of their jobs that are still under way.
    private var settled: RecencyCache<FinishedJob>
    private var malformedWindow: (second: Int64, count: Int) = (0, 0)

    package init(limits: Limits = Limits()) {
        self.limits = limits
        finished = RecencyCache(
            maximumCount: limits.finished, maximumCost: limits.finishedBytes,
            maximumAge: limits.finishedAge)
        tombstones = RecencyCache(
            maximumCount: limits.tombstones, maximumAge: limits.tombstoneAge)
        settled = RecencyCache(
            maximumCount: limits.finished, maximumCost: limits.finishedBytes / 4,
            maximumAge: limits.settledAge)
    }

    /// The job that runs, by the newest attempt known.
    package var running: JobReference? {
        runningID.flatMap { id in jobs[id].map { JobReference(jobID: id, attempt: $0.attempt) } }
    }

    // MARK: - Messages

    package mutating func receive(_ message: DispatcherMessage, now: Duration) -> [Answer] {
        switch message {
        case .job(let job, let attempt): return take(job, attempt: attempt, now: now)
        case .cancel(let reference): return cancel(reference, now: now)
        case .acknowledge(let reference):
            settle(reference, now: now)
            return []
        case .drain: return drain(now: now)
        case .ping(let jobID?):
            jobs[jobID]?.renewLease(now: now)
            return []
        case .ping(nil):
            for id in jobs.keys { jobs[id]?.renewLease(now: now) }
            return []
        }
    }

    /// Answers bytes that were no message; where no job can be named, not too often.
    package mutating func refuse(_ error: WireError, now: Duration) -> [Answer] {
        if let reference = error.job {
            return [Answer(.job(reference, .error(error.failure)), isRepeatable: true)]
        }
        malformed += 1
        let second = now.components.seconds
        if malformedWindow.second != second { malformedWindow = (second, 0) }
        malformedWindow.count += 1
        guard malformedWindow.count <= limits.malformedPerSecond else { return [] }
        return [Answer(.refusal(error.failure), isRepeatable: true)]
    }

    private mutating func take(_ job: GenerationJob, attempt: UInt32, now: Duration) -> [Answer] {
        let reference = JobReference(jobID: job.id, attempt: attempt)
        if let known = jobs[job.id] {
            guard attempt >= known.attempt else { return [] }
            guard known.fingerprint == Fingerprint(job) else { return [conflict(reference)] }
            if known.canReplay(from: job.resumeIDs.count) {
                jobs[job.id]?.attempt = attempt
                jobs[job.id]?.renewLease(now: now)
                if !known.isRunning { adopt(job.resumeIDs, for: job.id) }
                return [accepted(reference, known.isRunning ? .running : .queued)]
                    + known.replay(as: reference, from: job.resumeIDs.count)
            }
            forget(job.id)
        }
        if let done = finished.use(job.id, now: now) {
            guard attempt >= done.attempt else { return [] }
            guard done.fingerprint == Fingerprint(job) else { return [conflict(reference)] }
            // A higher attempt of a failure that may pass asks for another run.
            if attempt == done.attempt || !done.mayPass, done.canReplay(from: job.resumeIDs.count) {
                finished.insert(
                    done.relabelled(attempt), for: job.id, cost: done.cost, now: now)
                return [accepted(reference, .done)]
                    + done.replay(as: reference, from: job.resumeIDs.count)
            }
            finished.remove(job.id)
        }
        // Its dispatcher is done with the id: other content is another job, and no conflict.
        if let done = settled.peek(job.id), done.fingerprint == Fingerprint(job),
            done.canReplay(from: job.resumeIDs.count)
        {
            return [accepted(reference, .done)]
                + done.replay(as: reference, from: job.resumeIDs.count)
        }
        if let cancelled = tombstones.use(job.id, now: now), attempt <= cancelled {
            return [refusal(reference, Self.cancelled)]
        }
        return enqueue(job, reference, now: now)
    }

    private mutating func enqueue(
        _ job: GenerationJob, _ reference: JobReference, now: Duration
    ) -> [Answer] {
        guard !isDraining else { return [refusal(reference, Self.draining)] }
        let entry = QueuedJob(job, attempt: reference.attempt, ordinal: queue.next, now: now)
        guard queuedCount < limits.jobs, jobBytes + entry.bytes <= limits.jobBytes else {
            let failure = JobFailure(.queueFull, "\(queuedCount) jobs wait; try again later")
            return [refusal(reference, failure)]
        }
        jobs[job.id] = entry
        jobBytes += entry.bytes
        nextDue = Duration.earlier(nextDue, entry.dueAt)
        queue.append(job.id)
        return [accepted(reference, .queued)]
    }

    /// Tokens that came meanwhile need not be computed when the job starts.
    private mutating func adopt(_ resumeIDs: [TokenID], for id: String) {
        guard let before = jobs[id]?.bytes else { return }
        jobs[id]?.resume(after: resumeIDs)
        jobBytes += (jobs[id]?.bytes ?? before) - before
    }

    private mutating func cancel(_ reference: JobReference, now: Duration) -> [Answer] {
        let id = reference.jobID
        if let known = jobs[id] {
            // The job was sent again since; what was cancelled is an attempt that no longer is.
            guard reference.attempt >= known.attempt else {
                return [refusal(reference, Self.cancelled)]
            }
            return end(id, .error(Self.cancelled), isRepeatable: true, now: now)
        }
        if let done = finished.use(id, now: now) {
            let known = JobReference(jobID: id, attempt: done.attempt)
            return [Answer(.job(known, done.terminal), isRepeatable: true)]
        }
        let attempt = max(reference.attempt, tombstones.peek(id) ?? 0)
        tombstones.insert(attempt, for: id, now: now)
        return [refusal(reference, Self.cancelled)]
    }

    /// An acknowledgement, on its pipe, overtakes copies of its job on the other: they must not run.
    ///
    /// Only of a success: whoever asks again after a failure wants another run.
    private mutating func settle(_ reference: JobReference, now: Duration) {
        let id = reference.jobID
        guard let done = finished.peek(id), reference.attempt >= done.attempt else { return }
        finished.remove(id)
        acknowledged += 1
        if case .end = done.terminal { settled.insert(done, for: id, cost: done.cost, now: now) }
    }

    // MARK: - Running

    /// Moves the job at the head of the queue to running.
    ///
    /// - Precondition: none is running.
    package mutating func startNext(now: Duration) -> (job: GenerationJob, queuedMilliseconds: Int)?
    {
        precondition(runningID == nil, "a job is running already")
        while let slot = queue.popFirst() {
            guard let entry = jobs[slot.id], entry.ordinal == slot.ordinal else { continue }
            jobs[slot.id]?.isRunning = true
            runningID = slot.id
            return (entry.job, Int(clamping: (now - entry.receivedAt).wholeMilliseconds))
        }
        return nil
    }

    /// Takes an event of the running job; a terminal one ends it.
    ///
    /// - Precondition: a job is running.
    package mutating func record(_ event: TokenEvent, now: Duration) -> [Answer] {
        guard let id = runningID, let attempt = jobs[id]?.attempt else {
            preconditionFailure("no job is running")
        }
        if event.isTerminal { return end(id, event, isRepeatable: false, now: now) }
        jobs[id]?.record(event)
        let reference = JobReference(jobID: id, attempt: attempt)
        var isMetrics = false
        if case .metrics = event { isMetrics = true }
        return [Answer(.job(reference, event), isRepeatable: isMetrics)]
    }

    /// The one way out of queue and run: one terminal event, remembered.
    private mutating func end(
        _ id: String, _ event: TokenEvent, isRepeatable: Bool, isRemembered: Bool = true,
        now: Duration
    ) -> [Answer] {
        guard let entry = forget(id) else { return [] }
        if isRemembered {
            let done = FinishedJob(entry, terminal: event)
            finished.insert(done, for: id, cost: done.cost, now: now)
        }
        let reference = JobReference(jobID: id, attempt: entry.attempt)
        return [Answer(.job(reference, event), isRepeatable: isRepeatable)]
    }

    /// Takes a job out of queue or run, without a word.
    @discardableResult
    private mutating func forget(_ id: String) -> QueuedJob? {
        guard let entry = jobs.removeValue(forKey: id) else { return nil }
        jobBytes -= entry.bytes
        if runningID == id { runningID = nil }
        let jobs = jobs
        queue.compact(
            { jobs[$0]?.ordinal == $1 && jobs[$0]?.isRunning == false }, live: queuedCount)
        return entry
    }

    // MARK: - Time

    private static let expiryInterval = Duration.milliseconds(20)

    /// Ends jobs whose deadline or lease ran out, and forgets what is too old.
    package mutating func expire(now: Duration) -> [Answer] {
        finished.expire(now: now)
        tombstones.expire(now: now)
        settled.expire(now: now)
        guard let due = nextDue, due <= now else { return [] }
        var answers: [Answer] = []
        // Ends come in the order of the queue.
        let ordered = jobs.values.filter { $0.isDue(now: now) }.sorted { $0.ordinal < $1.ordinal }
        for entry in ordered {
            answers += end(
                entry.job.id, .error(entry.expiry(now: now)), isRepeatable: true, now: now)
        }
        // Every search goes through all jobs, so the next one is some time away.
        nextDue = jobs.values.reduce(nil) { Duration.earlier($0, $1.dueAt) }
            .map { max($0, now + Self.expiryInterval) }
        return answers
    }

    /// Takes no more jobs and hands the queued ones back; the running one goes on.
    package mutating func drain(now: Duration) -> [Answer] {
        guard !isDraining else { return [] }
        isDraining = true
        var answers: [Answer] = []
        for entry in jobs.values.sorted(by: { $0.ordinal < $1.ordinal }) where !entry.isRunning {
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
        let ordinal = jobs[reference.jobID]?.ordinal
        let position =
            state == .queued ? ordinal.map { queue.distance(to: $0, live: queuedCount) } : nil
        return Answer(
            .accepted(reference, .init(state: state, position: position ?? 0, free: free)),
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
