// The clock of loops: time that never goes back. State machines do not read it, they are given the time.
// The time of day: Timestamp.swift.
// SPDX-License-Identifier: Apache-2.0

/// Measures the time since the clock was first read in this process.
package enum MonotonicClock {
    private static let start = ContinuousClock.now

    package static func now() -> Duration { ContinuousClock.now - start }
}

extension Duration {
    /// Whole milliseconds, rounded toward zero.
    package var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000 + attoseconds / 1_000_000_000_000_000
    }

    /// Whole microseconds, rounded toward zero.
    package var wholeMicroseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000_000 + attoseconds / 1_000_000_000_000
    }
}
