// What the worker's table remembers of a job: while it waits and runs, and after it ended.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchSystem

/// Tells jobs of different content apart, whatever their attempt; resumption, time limits and the id of
/// the request that brought them may differ.
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

/// A job that waits or runs.
struct QueuedJob {
    private(set) var job: GenerationJob
    let fingerprint: Fingerprint
    /// Orders jobs by receipt.
    let ordinal: UInt64
    let receivedAt: Duration
    var attempt: UInt32
    var isRunning = false
    private(set) var started: TokenEvent?
    private(set) var tokens = TokenRecord()
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

    /// Memory it takes, roughly.
    var bytes: Int {
        512 + job.id.utf8.count + job.prompt.utf8.count + 4 * job.resumeIDs.count
            + job.stopSequences.reduce(0) { $0 + 16 + $1.utf8.count }
    }

    /// When the job ends if nothing happens before; nil is never.
    var dueAt: Duration? { Duration.earlier(deadlineAt, leaseEndsAt) }

    func isDue(now: Duration) -> Bool { dueAt.map { $0 <= now } ?? false }

    mutating func renewLease(now: Duration) {
        if let lease = job.leaseMilliseconds { leaseEndsAt = now + .milliseconds(lease) }
    }

    /// Why it is over.
    func expiry(now: Duration) -> JobFailure {
        if let deadlineAt, deadlineAt <= now {
            let milliseconds = (deadlineAt - receivedAt).wholeMilliseconds
            return JobFailure(
                .inferenceTimeout, "the deadline of \(milliseconds) ms passed")
        }
        // A dispatcher whose pings were lost still wants it.
        return JobFailure(.cancelled, "no ping came within the lease", retriable: true)
    }

    mutating func record(_ event: TokenEvent) {
        switch event {
        case .started: started = event
        case .token(let piece): tokens.append(piece)
        case .metrics, .end, .error: break
        }
    }

    /// No more is to come.
    mutating func close() { tokens.close() }

    /// Whether it has all that a reader who holds this many tokens misses: not where it was itself
    /// resumed after more, whose text it never had.
    func canReplay(from held: Int) -> Bool { !isRunning || held >= job.resumeIDs.count }

    /// - Precondition: it has not started.
    mutating func resume(after ids: [TokenID]) {
        precondition(!isRunning, "job \(job.id) runs already")
        job.resumeIDs = ids
    }

    /// What a reader who holds this many tokens still misses, in few events.
    func replay(as reference: JobReference, from held: Int) -> [Answer] {
        let events =
            (started.map { [$0] } ?? []) + tokens.pieces(after: held).map(TokenEvent.token)
        return events.map { Answer(.job(reference, $0), isRepeatable: true) }
    }
}

/// A job that ended.
struct FinishedJob {
    let fingerprint: Fingerprint
    private(set) var attempt: UInt32
    let terminal: TokenEvent
    let cost: Int
    private let record: QueuedJob

    init(_ entry: QueuedJob, terminal: TokenEvent) {
        fingerprint = entry.fingerprint
        attempt = entry.attempt
        self.terminal = terminal
        var entry = entry
        entry.close()
        record = entry
        // Its place in the cache and its last event.
        cost = 512 + entry.bytes + entry.tokens.bytes
    }

    /// Whether another run may end otherwise.
    ///
    /// One who cancelled a job and sends a higher attempt wants it again.
    var mayPass: Bool {
        if case .error(let failure) = terminal {
            return failure.retriable || failure.code == .cancelled
        }
        return false
    }

    /// As for a job that runs.
    func canReplay(from held: Int) -> Bool { record.canReplay(from: held) }

    func relabelled(_ attempt: UInt32) -> FinishedJob {
        var copy = self
        copy.attempt = attempt
        return copy
    }

    func replay(as reference: JobReference, from held: Int) -> [Answer] {
        record.replay(as: reference, from: held)
            + [Answer(.job(reference, terminal), isRepeatable: true)]
    }
}

/// The order of waiting jobs; jobs that left it otherwise are passed over.
struct JobFIFO {
    private var slots: [(id: String, ordinal: UInt64)] = []
    private var head = 0
    /// The ordinal of the next job appended.
    private(set) var next: UInt64 = 0

    mutating func append(_ id: String) {
        slots.append((id, next))
        next += 1
    }

    mutating func popFirst() -> (id: String, ordinal: UInt64)? {
        guard head < slots.count else { return nil }
        head += 1
        defer { dropTaken() }
        return slots[head - 1]
    }

    private mutating func dropTaken() {
        guard head > 1_024, head > slots.count / 2 else { return }
        slots.removeFirst(head)
        head = 0
    }

    /// Drops the oldest void slots once they are many.
    mutating func compact(_ isLive: (String, UInt64) -> Bool, live: Int) {
        guard slots.count - head > 2 * live + 64 else { return }
        slots = slots[head...].filter { isLive($0.id, $0.ordinal) }
        head = 0
    }

    /// Jobs before this one: exact while none was cancelled, else at most this.
    func distance(to ordinal: UInt64, live: Int) -> Int {
        guard head < slots.count, ordinal >= slots[head].ordinal else { return 0 }
        return min(Int(clamping: ordinal - slots[head].ordinal), max(0, live - 1))
    }
}
