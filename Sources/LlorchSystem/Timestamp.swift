// The time of day as events spell it. Durations are measured with a monotonic clock, never with this.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A moment in UTC.
package enum Timestamp {
    /// Now, in ISO 8601 with milliseconds: `2026-11-23T10:00:00.000Z`.
    package static func now() -> String {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        var seconds = time.tv_sec
        var date = unsafe tm()
        unsafe gmtime_r(&seconds, &date)
        let day = unsafe [Int(date.tm_year) + 1900, Int(date.tm_mon) + 1, Int(date.tm_mday)]
        let clock = unsafe [Int(date.tm_hour), Int(date.tm_min), Int(date.tm_sec)]
        let milliseconds = padded(time.tv_nsec / 1_000_000, to: 3)
        return day.map { padded($0, to: 2) }.joined(separator: "-") + "T"
            + clock.map { padded($0, to: 2) }.joined(separator: ":") + ".\(milliseconds)Z"
    }

    /// Time since 1970-01-01T00:00:00Z, without leap seconds.
    package static func sinceEpoch() -> Duration {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    private static func padded(_ value: Int, to width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
