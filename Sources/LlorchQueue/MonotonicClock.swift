// The one source of times for loops; state machines are given theirs.
// SPDX-License-Identifier: Apache-2.0

/// Time since the process first asked.
package enum MonotonicClock {
    private static let start = ContinuousClock.now

    package static func microseconds() -> Int64 {
        let (seconds, attoseconds) = (ContinuousClock.now - start).components
        return seconds * 1_000_000 + attoseconds / 1_000_000_000_000
    }

    package static func milliseconds() -> Int64 {
        microseconds() / 1_000
    }
}
