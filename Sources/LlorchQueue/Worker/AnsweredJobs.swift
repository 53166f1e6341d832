// What a worker remembers of jobs that ended or were cancelled unseen, so that a copy that comes late gets the
// same answer and is not run again. Jobs that wait or run: LiveJobs.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

/// Jobs that had their terminal event, bounded in number, bytes and age.
struct AnsweredJobs {
    /// What is remembered of a job that came.
    enum Memory {
        /// Nothing: the job is new.
        case none
        /// The job ended, and its end is the answer to the copy.
        case ended(FinishedJob)
        /// The copy is older than one that was answered.
        case outdated
        /// A job of other content ended under this id.
        case otherContent
        /// The job was cancelled before it came.
        case cancelled
    }

    /// Terminal events that were acknowledged.
    private(set) var acknowledged = 0
    /// Jobs that ended and were not acknowledged yet, as far as they are remembered.
    var unacknowledged: Int { finished.count }

    private var finished: RecencyCache<FinishedJob>
    /// With the attempt that was cancelled: a higher one is another job.
    private var tombstones: RecencyCache<UInt32>
    /// Ends that have arrived, kept a little for copies of their jobs that are still under way.
    private var settled: RecencyCache<FinishedJob>

    init(limits: JobTable.Limits) {
        finished = RecencyCache(
            maximumCount: limits.finished, maximumCost: limits.finishedBytes,
            maximumAge: limits.finishedAge)
        tombstones = RecencyCache(
            maximumCount: limits.tombstones, maximumAge: limits.tombstoneAge)
        settled = RecencyCache(
            maximumCount: limits.finished, maximumCost: limits.finishedBytes / 4,
            maximumAge: limits.settledAge)
    }

    /// What to answer to a copy of a job that neither waits nor runs.
    mutating func recall(_ job: GenerationJob, attempt: UInt32, now: Duration) -> Memory {
        let held = job.resumeIDs.count
        if let done = finished.use(job.id, now: now) {
            guard attempt >= done.attempt else { return .outdated }
            guard done.fingerprint == Fingerprint(job) else { return .otherContent }
            // A higher attempt of a failure that may pass asks for another run.
            if attempt == done.attempt || !done.mayPass, done.canReplay(from: held) {
                finished.insert(
                    done.relabelled(attempt), for: job.id, cost: done.cost, now: now)
                return .ended(done)
            }
            finished.remove(job.id)
        }
        // The dispatcher is done with the id: other content is another job, and no conflict.
        if let done = settled.peek(job.id), done.fingerprint == Fingerprint(job),
            done.canReplay(from: held)
        {
            return .ended(done)
        }
        if let cancelled = tombstones.use(job.id, now: now), attempt <= cancelled {
            return .cancelled
        }
        return .none
    }

    /// The end of a job that is not acknowledged.
    mutating func end(of id: String, now: Duration) -> FinishedJob? {
        finished.use(id, now: now)
    }

    /// Keeps the end of a job until it is acknowledged or too old.
    mutating func insert(_ job: LiveJob, terminal: TokenEvent, now: Duration) {
        let done = FinishedJob(job, terminal: terminal)
        finished.insert(done, for: job.job.id, cost: done.cost, now: now)
    }

    /// A cancel came before its job.
    mutating func insertCancel(_ reference: JobReference, now: Duration) {
        let id = reference.jobID
        let attempt = max(reference.attempt, tombstones.peek(id) ?? 0)
        tombstones.insert(attempt, for: id, now: now)
    }

    /// The end of a job has arrived.
    ///
    /// The acknowledgement, on its pipe, overtakes copies of its job on the other, which must not run. Only a
    /// success is kept for them: whoever asks again after a failure wants another run.
    mutating func settle(_ reference: JobReference, now: Duration) {
        let id = reference.jobID
        guard let done = finished.peek(id), reference.attempt >= done.attempt else { return }
        finished.remove(id)
        acknowledged += 1
        if case .end = done.terminal { settled.insert(done, for: id, cost: done.cost, now: now) }
    }

    /// Forgets what is too old.
    mutating func expire(now: Duration) {
        finished.expire(now: now)
        tombstones.expire(now: now)
        settled.expire(now: now)
    }
}
