// A job that ended, with all that it said, to be said again. Which ended jobs are kept: AnsweredJobs.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

/// A job that ended.
struct FinishedJob {
    private(set) var attempt: UInt32
    let terminal: TokenEvent
    /// Memory that the job takes, with its place in a cache and its last event.
    let cost: Int
    private let job: LiveJob

    init(_ job: LiveJob, terminal: TokenEvent) {
        var job = job
        job.close()
        self.job = job
        attempt = job.attempt
        self.terminal = terminal
        cost = 512 + job.bytes + (job.record?.bytes ?? 0)
    }

    var fingerprint: Fingerprint { job.fingerprint }

    /// Whether another run may end otherwise.
    ///
    /// Whoever cancelled a job and sends a higher attempt wants the job again.
    var mayPass: Bool {
        if case .error(let failure) = terminal {
            return failure.retriable || failure.code == .cancelled
        }
        return false
    }

    func canReplay(from held: Int) -> Bool { job.canReplay(from: held) }

    func relabelled(_ attempt: UInt32) -> FinishedJob {
        var copy = self
        copy.attempt = attempt
        return copy
    }

    /// What a reader who holds this many tokens still misses, and the end.
    func replay(as reference: JobReference, from held: Int) -> [Answer] {
        job.replay(as: reference, from: held)
            + [Answer(.job(reference, terminal), isRepeatable: true)]
    }
}
