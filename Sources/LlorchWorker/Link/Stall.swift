// Since when the running job waits for the reader of its events. Pausing the job: Loop/Pause.swift.
// SPDX-License-Identifier: Apache-2.0

/// Whether events have no reader.
struct Stall {
    private var since: Duration?

    /// Whether a job waits, or was given up and its events still have no reader.
    var isActive: Bool { since != nil }

    /// Begins to wait; false where that has begun already.
    mutating func begin(_ now: Duration) -> Bool {
        guard since == nil else { return false }
        since = now
        return true
    }

    /// Whether the wait has lasted as long as it may.
    func isOver(_ now: Duration, timeout: Duration) -> Bool {
        since.map { now - $0 >= timeout } ?? false
    }

    mutating func end() { since = nil }
}
