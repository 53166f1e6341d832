// What the dispatcher counts, for metrics. Each total rises for one reason only.
// SPDX-License-Identifier: Apache-2.0

extension Dispatcher {
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
}
