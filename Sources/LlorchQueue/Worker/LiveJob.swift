// A job that waits or runs, and what it has said so far. The job after its end: AnsweredJobs.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchSystem

/// Tells jobs of different content apart, whatever their attempt.
///
/// Resumption, time limits and the id of the request that brought a job may differ.
struct Fingerprint: Hashable {
    private let hash: Int

    init(_ job: GenerationJob) {
        var content = job
        content.resumeIDs = []
        content.deadlineMilliseconds = nil
        content.leaseMilliseconds = nil
        content.correlationID = nil
        hash = content.hashValue
    }
}

extension Duration {
    /// The earlier of two times, of which nil is never.
    static func earlier(_ one: Duration?, _ other: Duration?) -> Duration? {
        guard let one, let other else { return one ?? other }
        return min(one, other)
    }
}

/// What a job that runs has said, without its terminal event.
struct RunRecord {
    private var started: TokenEvent?
    private var tokens = TokenRecord()

    /// Memory that the record takes.
    var bytes: Int { tokens.bytes }

    mutating func append(_ event: TokenEvent) {
        switch event {
        case .started: started = event
        case .token(let piece): tokens.append(piece)
        case .metrics, .end, .error: break
        }
    }

    /// Gives back the room that was kept for more.
    mutating func close() { tokens.close() }

    /// What a reader who holds this many tokens still misses, in few events.
    func events(after held: Int) -> [TokenEvent] {
        (started.map { [$0] } ?? []) + tokens.pieces(after: held).map(TokenEvent.token)
    }
}

/// A job between its receipt and its end.
struct LiveJob {
    enum State {
        /// The job waits for the jobs before it.
        case waiting
        case running(RunRecord)
    }

    private(set) var job: GenerationJob
    let fingerprint: Fingerprint
    /// Orders jobs by receipt.
    let ordinal: UInt64
    let receivedAt: Duration
    var attempt: UInt32
    private(set) var state = State.waiting
    private let deadlineAt: Duration?
    private var leaseEndsAt: Duration?

    init(_ job: GenerationJob, attempt: UInt32, ordinal: UInt64, now: Duration) {
        self.job = job
        self.attempt = attempt
        self.ordinal = ordinal
        fingerprint = Fingerprint(job)
        receivedAt = now
        deadlineAt = job.deadlineMilliseconds.map { now + .milliseconds($0) }
        renewLease(now: now)
    }

    var isRunning: Bool {
        if case .running = state { return true }
        return false
    }

    /// What the job has said; nil while it waits.
    var record: RunRecord? {
        if case .running(let record) = state { return record }
        return nil
    }

    /// Memory that the job takes without its record, roughly.
    var bytes: Int {
        512 + job.id.utf8.count + job.prompt.bytes + 4 * job.resumeIDs.count
            + job.stopSequences.reduce(0) { $0 + 16 + $1.utf8.count }
    }

    // MARK: - Time

    /// When the job ends if nothing happens before; nil is never.
    var dueAt: Duration? { Duration.earlier(deadlineAt, leaseEndsAt) }

    func isDue(now: Duration) -> Bool { dueAt.map { $0 <= now } ?? false }

    mutating func renewLease(now: Duration) {
        if let lease = job.leaseMilliseconds { leaseEndsAt = now + .milliseconds(lease) }
    }

    /// Why a job that is due ends.
    func expiry(now: Duration) -> JobFailure {
        if let deadlineAt, deadlineAt <= now {
            let milliseconds = (deadlineAt - receivedAt).wholeMilliseconds
            return JobFailure(
                .inferenceTimeout, "the deadline of \(milliseconds) ms passed")
        }
        // A dispatcher whose pings were lost still wants the job.
        return JobFailure(.cancelled, "no ping came within the lease", retriable: true)
    }

    // MARK: - Run

    mutating func start() { state = .running(RunRecord()) }

    /// - Precondition: the job runs.
    mutating func append(_ event: TokenEvent) {
        guard case .running(var record) = state else {
            preconditionFailure("job \(job.id) does not run")
        }
        // One owner at a time, so that the record's arrays grow in place.
        state = .waiting
        record.append(event)
        state = .running(record)
    }

    /// The job says no more: gives back the room that its record kept.
    mutating func close() {
        guard case .running(var record) = state else { return }
        record.close()
        state = .running(record)
    }

    /// - Precondition: the job waits.
    mutating func resume(after ids: [TokenID]) {
        precondition(!isRunning, "job \(job.id) runs already")
        job.resumeIDs = ids
    }

    /// Whether the job has said all that a reader who holds this many tokens misses.
    ///
    /// A run that was itself resumed after more tokens never had the text of those before them.
    func canReplay(from held: Int) -> Bool { !isRunning || held >= job.resumeIDs.count }

    /// What a reader who holds this many tokens still misses, in few events.
    func replay(as reference: JobReference, from held: Int) -> [Answer] {
        (record?.events(after: held) ?? []).map {
            Answer(.job(reference, $0), isRepeatable: true)
        }
    }
}
