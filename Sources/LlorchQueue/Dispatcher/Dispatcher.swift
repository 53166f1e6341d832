// The dispatcher's side of LLQ/1, rules 1 to 4, as a state machine without I/O or clock.
// Sockets: DispatcherClient.swift. One job's record: DispatchedJob.swift. The worker's side: JobTable.swift.
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
    package struct Configuration: Sendable, Hashable {
        /// Jobs that may wait here.
        package var backlog = 1_000
        /// Jobs a worker has at a time.
        package var window = 1
        /// Without news of a job for this long it is sent again.
        package var quiet = Duration.seconds(5)
        /// A worker not heard for this long has lost what was sent to it.
        package var silence = Duration.seconds(10)
        /// A cancel is repeated this often until the terminal event.
        package var cancelInterval = Duration.milliseconds(250)
        /// A worker that refused a job is left alone for this long.
        package var rest = Duration.seconds(1)
        /// A worker that could not be sent to is tried again after this long.
        package var unreachableRest = Duration.milliseconds(50)
        /// A worker that is heard but could not be sent to for this long gets new sockets.
        package var wedged = Duration.seconds(10)
        /// A running job nobody here knows is cancelled after this long.
        package var strangerGrace = Duration.seconds(10)
        /// A job whose deadline passed is given up after this long without the worker's word.
        package var deadlineGrace = Duration.seconds(1)
        /// A worker not heard for this long is forgotten.
        package var forget = Duration.seconds(60)
        package var maximumWorkers = 256
        /// A job that was running when its worker died is not sent again after this many deaths.
        package var crashLimit = 2
        /// Copies without an answer, of a worker that is heard, before the attempt rises.
        package var unansweredLimit = 3
        /// A job that failed in a retriable way is not sent again after this many failures.
        package var failureLimit = 3

        package init() {}
    }

    package enum Channel: Sendable, Hashable {
        case jobs
        case control
    }

    package enum Action: Sendable, Hashable {
        /// Send without waiting; answer with `undelivered` where it would wait.
        case send(DispatcherMessage, worker: String, Channel)
        /// To the client, once: a worker has the job.
        case accepted(jobID: String)
        /// To the client of the job.
        case deliver(TokenEvent, jobID: String)
        /// A worker announced itself, or moved: open sockets to it.
        case connect(worker: String, jobs: String, control: String)
        /// Its socket is stuck: close it and open a new one.
        case reconnect(worker: String)
        /// Close the sockets.
        case disconnect(worker: String)
    }

    /// Totals since the beginning, for metrics.
    package struct Counters: Sendable, Hashable {
        /// Copies sent because a worker said nothing of its job for long.
        package var resentAfterQuiet = 0
        /// Copies sent because an event was missing.
        package var resentAfterGap = 0
        /// Copies that a worker answered with what it had, in place of computing it again.
        package var replayed = 0
        /// Attempts raised because a worker that is heard said nothing of its job.
        package var relabelled = 0
        /// Jobs sent to go on after tokens that are held.
        package var resumed = 0
        /// Jobs taken back from a worker that began anew.
        package var movedAfterRestart = 0
        /// Jobs taken back from a worker that fell silent.
        package var movedAfterSilence = 0
        /// Jobs taken back from a worker that said `bye`.
        package var movedAfterBye = 0
        /// Jobs that a worker gave back: refused, or failed in a way that may pass.
        package var movedAfterRefusal = 0
        /// Events of old attempts, old processes or unknown jobs.
        package var fenced = 0
        /// Holes in a worker's sequence.
        package var gaps = 0
        package var boots = 0
        /// Refusals of messages that a worker could not read.
        package var malformed = 0

        package var resent: Int { resentAfterQuiet + resentAfterGap }

        package init() {}
    }

    package let configuration: Configuration
    package internal(set) var counters = Counters()

    var jobs: [String: DispatchedJob] = [:]
    /// Jobs without a worker, in the order they were submitted.
    var waiting: [String] = []
    var workersByName: [String: DispatcherWorker] = [:]
    /// The last attempt of jobs that ended: the same id again is another job to workers that still hold
    /// copies, cancels or ends of the first.
    var endedAttempts = RecencyCache<UInt32>(maximumCount: 10_000, maximumAge: .seconds(15 * 60))
    private var submitted: UInt64 = 0
    var assigned: UInt64 = 0

    package init(configuration: Configuration = Configuration()) {
        self.configuration = configuration
    }

    // MARK: - Reading

    /// Every worker heard of, for health and directories.
    package var workers: [DispatcherWorker] { Array(workersByName.values) }
    package func worker(_ name: String) -> DispatcherWorker? { workersByName[name] }
    package var waitingCount: Int { waiting.count }
    /// Jobs that a worker has or may have.
    package var outCount: Int { jobs.count - waiting.count }

    /// Whether no worker has the job.
    package func isWaiting(_ jobID: String) -> Bool {
        jobs[jobID].map { $0.worker == nil } ?? false
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
        if job.seed == nil { job.seed = .random(in: .min ... .max) }
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
        if entry.worker == nil {
            finish(jobID, with: .error(Self.cancelled), into: &actions)
        } else if entry.cancelAt == nil {
            jobs[jobID]?.cancelAt = now
            sendDueCancel(jobID, now: now, into: &actions)
        }
        return actions
    }

    // MARK: - Time and failure

    /// Does what has become due; to be called at least every 50 ms while jobs are here.
    package mutating func tick(now: Duration) -> [Action] {
        var actions: [Action] = []
        lookForSilence(now: now, into: &actions)
        // In an order of their own, not a dictionary's: the same inputs give the same actions.
        let due = jobs.values.filter { $0.isDue(now: now, configuration) }
        for id in due.sorted(by: { $0.ordinal < $1.ordinal }).map(\.job.id) {
            enforceDeadline(id, now: now, into: &actions)
            sendDueCancel(id, now: now, into: &actions)
            askIfDue(id, now: now, into: &actions)
        }
        renewLeases(now: now, into: &actions)
        assign(now: now, into: &actions)
        return actions
    }

    /// Takes back a `send` that would have waited: it is neither an attempt nor an end.
    package mutating func undelivered(
        _ message: DispatcherMessage, worker: String, now: Duration
    ) -> [Action] {
        var actions: [Action] = []
        guard case .job(let job, let attempt) = message else { return actions }
        noteUnreachable(worker, now: now, into: &actions)
        if let entry = jobs[job.id], entry.worker == worker, entry.attempt == attempt {
            if entry.isFresh {
                jobs[job.id]?.attempt -= 1
                putBack(job.id)
            } else {
                if entry.isAskedAfterGap {
                    counters.resentAfterGap -= 1
                } else {
                    counters.resentAfterQuiet -= 1
                }
                jobs[job.id]?.notAsked(now: now, configuration)
            }
        }
        assign(now: now, into: &actions)
        return actions
    }

    // MARK: - Workers

    /// Takes what a worker said.
    package mutating func receive(_ event: WorkerEvent, now: Duration) -> [Action] {
        var actions: [Action] = []
        guard admit(event, now: now, into: &actions) else { return actions }
        switch event.body {
        case .heartbeat(let status):
            note(status, of: event.worker, now: now, into: &actions)
        case .accepted(let reference, let acceptance):
            guard isCurrent(reference, event.worker) else { break }
            jobs[reference.jobID]?.heard(acceptance.state, now: now, configuration)
            if jobs[reference.jobID]?.isReplay(acceptance.state) == true { counters.replayed += 1 }
            if jobs[reference.jobID]?.isAcceptanceTold == false {
                jobs[reference.jobID]?.isAcceptanceTold = true
                actions.append(.accepted(jobID: reference.jobID))
            }
            workersByName[event.worker]?.unreachableSince = nil
        case .job(let reference, let tokenEvent):
            if endsCancelled(reference, with: tokenEvent, from: event.worker) {
                finish(reference.jobID, with: .error(Self.cancelled), into: &actions)
                break
            }
            guard isCurrent(reference, event.worker) else { break }
            workersByName[event.worker]?.unreachableSince = nil
            take(tokenEvent, of: reference, from: event.worker, now: now, into: &actions)
        case .refusal:
            counters.malformed += 1
        case .bye:
            workersByName[event.worker]?.isGone = true
            workersByName[event.worker]?.hasLeft = true
            takeBackAll(from: event.worker, .left, now: now, into: &actions)
        }
        assign(now: now, into: &actions)
        return actions
    }

    /// Rule 4: events of another attempt than the current one are ignored.
    private mutating func isCurrent(_ reference: JobReference, _ worker: String) -> Bool {
        if let entry = jobs[reference.jobID], entry.worker == worker,
            entry.attempt == reference.attempt
        {
            return true
        }
        if jobs[reference.jobID] == nil { workersByName[worker]?.foreign = reference }
        counters.fenced += 1
        return false
    }

    /// The answer to a cancel has the attempt that the worker knows; a later copy may have been lost.
    private func endsCancelled(
        _ reference: JobReference, with event: TokenEvent, from worker: String
    ) -> Bool {
        guard let entry = jobs[reference.jobID] else { return false }
        return event.isTerminal && entry.cancelAt != nil && entry.worker == worker
            && reference.attempt < entry.attempt
    }

    private mutating func take(
        _ event: TokenEvent, of reference: JobReference, from worker: String, now: Duration,
        into actions: inout [Action]
    ) {
        let id = reference.jobID
        let model = workersByName[worker]?.status?.model
        guard let verdict = jobs[id]?.judge(event, model: model) else { return }
        jobs[id]?.heard(.running, now: now, configuration)
        switch verdict {
        case .new where event.isTerminal:
            // Behind all copies sent before: one that came after it would be run again.
            actions.append(.send(.acknowledge(reference), worker: worker, .jobs))
            end(id, with: event, from: worker, now: now, into: &actions)
        case .new:
            if jobs[id]?.isAnswered == false { actions.append(.deliver(event, jobID: id)) }
        case .known:
            break
        case .gap where event.isTerminal && jobs[id]?.cancelAt != nil:
            finish(id, with: .error(Self.cancelled), into: &actions)
        case .gap:
            jobs[id]?.askSoon(now: now, configuration)
            askIfDue(id, now: now, into: &actions)
        case .diverged(let failure):
            giveUp(id, failure, now: now, into: &actions)
        }
    }

    /// Rule 1: a terminal event of the current attempt; retriable ones send the job elsewhere.
    private mutating func end(
        _ id: String, with event: TokenEvent, from worker: String, now: Duration,
        into actions: inout [Action]
    ) {
        guard case .error(let failure) = event, failure.retriable else {
            finish(id, with: event, into: &actions)
            return
        }
        workersByName[worker]?.restUntil = now + configuration.rest
        guard jobs[id]?.cancelAt == nil else {
            finish(id, with: .error(Self.cancelled), into: &actions)
            return
        }
        switch failure.code {
        case .queueFull, .draining, .shutdown: break
        default: jobs[id]?.failures += 1
        }
        if jobs[id]?.failures ?? 0 >= configuration.failureLimit {
            finish(id, with: event, into: &actions)
        } else {
            counters.movedAfterRefusal += 1
            putBack(id)
        }
    }

    // MARK: - Ends

    package static let cancelled = JobFailure(.cancelled, "cancelled by the client")

    /// Tells the client, unless it was told, and forgets the job.
    mutating func finish(_ id: String, with event: TokenEvent, into actions: inout [Action]) {
        guard let entry = jobs.removeValue(forKey: id) else { return }
        if entry.attempt > 0 { endedAttempts.insert(entry.attempt, for: id, now: entry.askedAt) }
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
        if entry.worker == nil {
            finish(id, with: .error(failure), into: &actions)
            return
        }
        if !entry.isAnswered { actions.append(.deliver(.error(failure), jobID: id)) }
        jobs[id]?.isAnswered = true
        if entry.cancelAt == nil { jobs[id]?.cancelAt = now }
        sendDueCancel(id, now: now, into: &actions)
    }

    /// The job waits for a worker again, at its old place.
    mutating func putBack(_ id: String) {
        guard let ordinal = jobs[id]?.ordinal else { return }
        if let worker = jobs[id]?.worker { workersByName[worker]?.load -= 1 }
        jobs[id]?.worker = nil
        jobs[id]?.stage = .sent
        let place = waiting.firstIndex { jobs[$0].map { $0.ordinal > ordinal } ?? false }
        waiting.insert(id, at: place ?? waiting.endIndex)
    }
}
