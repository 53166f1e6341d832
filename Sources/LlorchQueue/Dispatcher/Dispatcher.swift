// The dispatcher's side of LLQ/1, rules 1 to 4, as a state machine without I/O or clock: jobs come and end here.
// What workers say: Dispatcher+Receiving.swift. What is sent: Dispatcher+Sending.swift. Workers that come and go:
// Dispatcher+Workers.swift. One job: DispatchedJob.swift. Sockets: DispatcherClient.swift.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

/// Keeps every job until it has a terminal event, and says what to send and what to hand on.
///
/// Each input returns actions, to be performed in order before the next input. A `send` that cannot
/// be performed is reported to `undelivered`, whose actions follow. `now` is the time since the
/// start of one monotonic clock.
///
/// For each submitted job the client is given `started (token | metrics)* (end | error)` or a lone
/// `error`: one terminal event, and no token twice, whatever is lost, repeated or killed.
package struct Dispatcher {
    package let configuration: Configuration
    package internal(set) var counters = Counters()

    var jobs: [String: DispatchedJob] = [:]
    /// Jobs without a worker, in the order they were submitted.
    var waiting: [String] = []
    var workersByName: [String: DispatcherWorker] = [:]
    /// The last attempt of jobs that ended.
    ///
    /// A new job with the same id begins above it, because workers may still hold copies, cancels or ends of
    /// the old job.
    var endedAttempts = RecencyCache<UInt32>(maximumCount: 10_000, maximumAge: .seconds(15 * 60))
    private var submitted: UInt64 = 0
    var assigned: UInt64 = 0

    package init(configuration: Configuration = Configuration()) {
        self.configuration = configuration
    }

    // MARK: - Reading

    /// Every worker that was heard of.
    package var workers: [DispatcherWorker] { Array(workersByName.values) }
    package func worker(_ name: String) -> DispatcherWorker? { workersByName[name] }
    package var waitingCount: Int { waiting.count }
    /// Jobs that a worker has or may have.
    package var outCount: Int { jobs.count - waiting.count }

    /// Whether no worker has the job.
    package func isWaiting(_ jobID: String) -> Bool {
        jobs[jobID]?.isWaiting ?? false
    }

    /// Whether a client of this id still waits for its terminal event.
    package func isActive(_ jobID: String) -> Bool {
        jobs[jobID].map { !$0.isAnswered } ?? false
    }

    // MARK: - Clients

    /// Takes a job; it leaves only with a terminal event.
    ///
    /// A missing seed is chosen here, so that every attempt goes on as the first began. Token ids that
    /// the job brings are taken as held: the client is given what follows them.
    /// - Throws: `jobIDConflict` while the id is in use, `queueFull` when the backlog is full.
    package mutating func submit(
        _ job: GenerationJob, now: Duration
    ) throws(JobFailure) -> [Action] {
        guard jobs[job.id] == nil else {
            throw JobFailure(.jobIDConflict, "a job with this id is active; choose another id")
        }
        guard waiting.count < configuration.backlog else {
            throw JobFailure(.queueFull, "\(waiting.count) jobs wait; try again later")
        }
        var job = job
        if job.seed == nil { job.seed = GenerationJob.drawnSeed() }
        endedAttempts.expire(now: now)
        jobs[job.id] = DispatchedJob(
            job, ordinal: submitted, after: endedAttempts.peek(job.id) ?? 0, now: now)
        submitted += 1
        waiting.append(job.id)
        var actions: [Action] = []
        assign(now: now, into: &actions)
        return actions
    }

    /// Ends a job; the terminal event follows at once or when its worker answers.
    package mutating func cancel(_ jobID: String, now: Duration) -> [Action] {
        var actions: [Action] = []
        guard let entry = jobs[jobID] else { return actions }
        if entry.isWaiting {
            finish(jobID, with: .error(Self.cancelled), now: now, into: &actions)
        } else if entry.ending == nil {
            jobs[jobID]?.beginEnding(isAnswered: false, now: now)
            sendDueCancel(jobID, now: now, into: &actions)
        }
        return actions
    }

    // MARK: - Time and failure

    /// Does what has become due.
    ///
    /// Call it at least every 50 ms while jobs are here.
    package mutating func tick(now: Duration) -> [Action] {
        var actions: [Action] = []
        lookForSilence(now: now, into: &actions)
        // In the order of submission: a dictionary's order would differ from run to run.
        let due = jobs.values.filter { $0.isDue(now: now) }
        for id in due.sorted(by: { $0.ordinal < $1.ordinal }).map(\.job.id) {
            enforceDeadline(id, now: now, into: &actions)
            sendDueCancel(id, now: now, into: &actions)
            askIfDue(id, now: now, into: &actions)
        }
        renewLeases(now: now, into: &actions)
        assign(now: now, into: &actions)
        return actions
    }

    /// Takes back a `send` that would have waited: the copy counts as never sent, and the job goes on.
    package mutating func undelivered(
        _ message: DispatcherMessage, worker: String, now: Duration
    ) -> [Action] {
        var actions: [Action] = []
        guard case .job(let job, let attempt) = message else { return actions }
        noteUnreachable(worker, now: now, into: &actions)
        if let entry = jobs[job.id], let copy = entry.copy, copy.worker == worker,
            entry.attempt == attempt
        {
            switch copy.reason {
            case .assignment: putBack(job.id, asIfNeverSent: true)
            case .gap: counters.resentAfterGap -= 1
            case .quiet: counters.resentAfterQuiet -= 1
            }
            jobs[job.id]?.withCopy { $0.takeBackQuestion(now: now, configuration) }
        }
        assign(now: now, into: &actions)
        return actions
    }

    // MARK: - Ends

    package static let cancelled = JobFailure(.cancelled, "cancelled by the client")

    /// Tells the client, unless it was told, and forgets the job.
    mutating func finish(
        _ id: String, with event: TokenEvent, now: Duration, into actions: inout [Action]
    ) {
        guard let entry = jobs.removeValue(forKey: id) else { return }
        if entry.attempt > 0 { endedAttempts.insert(entry.attempt, for: id, now: now) }
        if let worker = entry.worker {
            workersByName[worker]?.load -= 1
        } else {
            waiting.removeAll { $0 == id }
        }
        if !entry.isAnswered { actions.append(.deliver(event, jobID: id)) }
    }

    /// Tells the client now, and cancels until the worker agrees.
    mutating func giveUp(
        _ id: String, _ failure: JobFailure, now: Duration, into actions: inout [Action]
    ) {
        guard let entry = jobs[id] else { return }
        if entry.isWaiting {
            finish(id, with: .error(failure), now: now, into: &actions)
            return
        }
        if !entry.isAnswered { actions.append(.deliver(.error(failure), jobID: id)) }
        jobs[id]?.beginEnding(isAnswered: true, now: now)
        sendDueCancel(id, now: now, into: &actions)
    }

    /// The job waits for a worker again, at its place in the order of submission.
    mutating func putBack(_ id: String, asIfNeverSent: Bool = false) {
        guard let ordinal = jobs[id]?.ordinal else { return }
        if let worker = jobs[id]?.worker { workersByName[worker]?.load -= 1 }
        jobs[id]?.putBack(asIfNeverSent: asIfNeverSent)
        let place = waiting.firstIndex { jobs[$0].map { $0.ordinal > ordinal } ?? false }
        waiting.insert(id, at: place ?? waiting.endIndex)
    }
}
