// Whether a worker is to leave, and by when. Decides nothing about jobs: WorkerLink.swift; how it leaves:
// Loop/Leaving.swift.
// SPDX-License-Identifier: Apache-2.0

/// A worker stays, then drains, then stops; never back.
struct Departure {
    /// A drain was asked for, by message or signal: no more jobs are taken.
    private(set) var isDraining = false
    /// A second signal came: the worker leaves without waiting for anyone.
    private(set) var isStopping = false
    /// When the running job is given up; nil while it may go on.
    private(set) var deadline: Duration?

    /// Begins to drain; false where that has begun already.
    mutating func drain(now: Duration, timeout: Duration) -> Bool {
        guard !isDraining else { return false }
        isDraining = true
        deadline = min(deadline ?? now + timeout, now + timeout)
        return true
    }

    /// Takes back what time was left.
    mutating func stop(now: Duration) {
        isStopping = true
        deadline = now
    }

    /// No job runs any more, so that none needs to be given up.
    mutating func forgetDeadline() { deadline = nil }

    /// Whether a job that still runs is to be given up.
    func isOver(_ now: Duration) -> Bool { deadline.map { now >= $0 } ?? false }
}
