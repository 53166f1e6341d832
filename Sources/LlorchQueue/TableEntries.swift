// What the worker's table remembers of a job: while it waits and runs, and after it ended.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

/// Tells jobs of different content apart, whatever their attempt; resumption and time limits may differ.
struct Fingerprint: Hashable {
    private let hash: Int

    init(_ job: GenerationJob) {
        var content = job
        content.resumeIDs = []
        content.deadlineMilliseconds = nil
        content.leaseMilliseconds = nil
        hash = content.hashValue
    }
}

/// A job that waits or runs.
struct QueuedJob {
    let job: GenerationJob
    let fingerprint: Fingerprint
    /// Orders jobs by receipt.
    let ordinal: UInt64
    let receivedAt: Int64
    var attempt: UInt32
    var isRunning = false
    private(set) var started: TokenEvent?
    private(set) var pieces: [TokenEvent.TokenPiece] = []
    private let deadlineAt: Int64
    private var leaseEndsAt: Int64

    init(_ job: GenerationJob, attempt: UInt32, ordinal: UInt64, now: Int64) {
        self.job = job
        self.attempt = attempt
        self.ordinal = ordinal
        fingerprint = Fingerprint(job)
        receivedAt = now
        deadlineAt = job.deadlineMilliseconds.map { now + Int64($0) } ?? .max
        leaseEndsAt = .max
        renewLease(now: now)
    }

    /// Memory it takes, roughly.
    var bytes: Int {
        512 + job.id.utf8.count + job.prompt.utf8.count + 4 * job.resumeIDs.count
            + job.stopSequences.reduce(0) { $0 + 16 + $1.utf8.count }
    }

    var dueAt: Int64 { min(deadlineAt, leaseEndsAt) }

    mutating func renewLease(now: Int64) {
        if let lease = job.leaseMilliseconds { leaseEndsAt = now + Int64(lease) }
    }

    /// Why it is over.
    func expiry(now: Int64) -> JobFailure {
        if deadlineAt <= now {
            return JobFailure(
                .inferenceTimeout, "the deadline of \(deadlineAt - receivedAt) ms passed")
        }
        return JobFailure(.cancelled, "no ping came within the lease")
    }

    mutating func record(_ event: TokenEvent) {
        switch event {
        case .started: started = event
        case .token(let piece): pieces.append(piece)
        case .metrics, .end, .error: break
        }
    }

    /// What a reader who holds this many tokens still misses.
    func replay(as reference: JobReference, from held: Int) -> [Answer] {
        let first = held == 0 ? started.map { [$0] } ?? [] : []
        let missing = pieces.filter { $0.index + $0.ids.count > held }.map(TokenEvent.token)
        return (first + missing).map { Answer(.job(reference, $0), isRepeatable: true) }
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
        record = entry
        cost =
            entry.bytes
            + entry.pieces.reduce(256) { $0 + 64 + $1.text.utf8.count + 4 * $1.ids.count }
    }

    /// Whether another run may end otherwise.
    var mayPass: Bool {
        if case .error(let failure) = terminal { return failure.retriable }
        return false
    }

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
