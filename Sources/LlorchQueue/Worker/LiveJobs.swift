// The jobs that wait and the one that runs: their order, their bytes, and which is due next.
// What is answered when one comes or ends: JobTable.swift. Jobs that ended: AnsweredJobs.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchSystem

/// Jobs by id, one running at a time, first in first out.
struct LiveJobs {
    /// Memory that the jobs take, roughly.
    private(set) var bytes = 0
    /// When a deadline or a lease next ends; nil is never.
    private(set) var nextDue: Duration?

    private var jobs: [String: LiveJob] = [:]
    private var runningID: String?
    private var queue = JobFIFO()

    subscript(id: String) -> LiveJob? { jobs[id] }

    /// The job that runs, by the newest attempt known.
    var running: JobReference? {
        runningID.flatMap { id in jobs[id].map { JobReference(jobID: id, attempt: $0.attempt) } }
    }

    var queuedCount: Int { jobs.count - (runningID == nil ? 0 : 1) }

    /// Waiting jobs before this one: exact while none was cancelled, else at most this.
    func position(of id: String) -> Int {
        jobs[id].map { queue.distance(to: $0.ordinal, live: queuedCount) } ?? 0
    }

    /// Jobs that wait, in the order of their receipt.
    var waiting: [LiveJob] {
        jobs.values.filter { !$0.isRunning }.sorted { $0.ordinal < $1.ordinal }
    }

    // MARK: - Coming and going

    /// Appends a job to the queue, unless it would make the jobs longer than this.
    mutating func append(
        _ job: GenerationJob, attempt: UInt32, now: Duration, maximumBytes: Int
    ) -> Bool {
        let entry = LiveJob(job, attempt: attempt, ordinal: queue.next, now: now)
        guard bytes + entry.bytes <= maximumBytes else { return false }
        jobs[job.id] = entry
        bytes += entry.bytes
        nextDue = Duration.earlier(nextDue, entry.dueAt)
        queue.append(job.id)
        return true
    }

    /// Moves the job at the head of the queue to running.
    ///
    /// - Precondition: none is running.
    mutating func startNext() -> LiveJob? {
        precondition(runningID == nil, "a job is running already")
        while let slot = queue.popFirst() {
            guard let entry = jobs[slot.id], entry.ordinal == slot.ordinal else { continue }
            jobs[slot.id]?.start()
            runningID = slot.id
            return entry
        }
        return nil
    }

    /// Takes a job out of queue or run.
    @discardableResult
    mutating func remove(_ id: String) -> LiveJob? {
        guard let entry = jobs.removeValue(forKey: id) else { return nil }
        bytes -= entry.bytes
        if runningID == id { runningID = nil }
        let jobs = jobs
        queue.compact(
            { jobs[$0]?.ordinal == $1 && jobs[$0]?.isRunning == false }, live: queuedCount)
        return entry
    }

    // MARK: - Changing

    /// A copy of the job came by another attempt.
    mutating func relabel(_ id: String, _ attempt: UInt32) {
        jobs[id]?.attempt = attempt
    }

    /// Tokens that came meanwhile need not be computed when the job starts.
    ///
    /// - Precondition: the job waits.
    mutating func resume(_ id: String, after ids: [TokenID]) {
        guard let before = jobs[id]?.bytes else { return }
        jobs[id]?.resume(after: ids)
        bytes += (jobs[id]?.bytes ?? before) - before
    }

    /// Notes what the job that runs has said.
    mutating func record(_ event: TokenEvent) {
        guard let runningID else { return }
        jobs[runningID]?.append(event)
    }

    mutating func renewLease(of id: String, now: Duration) {
        jobs[id]?.renewLease(now: now)
    }

    mutating func renewAllLeases(now: Duration) {
        for id in jobs.keys { jobs[id]?.renewLease(now: now) }
    }

    // MARK: - Time

    private static let searchInterval = Duration.milliseconds(20)

    /// The jobs whose deadline or lease ran out, in the order of their receipt.
    func due(now: Duration) -> [LiveJob] {
        guard let nextDue, nextDue <= now else { return [] }
        return jobs.values.filter { $0.isDue(now: now) }.sorted { $0.ordinal < $1.ordinal }
    }

    /// Looks for the job that is due next, once those that were due are gone.
    mutating func findNextDue(now: Duration) {
        guard let due = nextDue, due <= now else { return }
        // Every search goes through all jobs, so the next one is some time away.
        nextDue = jobs.values.reduce(nil) { Duration.earlier($0, $1.dueAt) }
            .map { max($0, now + Self.searchInterval) }
    }
}
