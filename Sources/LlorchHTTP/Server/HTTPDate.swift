// The `Date` header of responses: RFC 9110, section 5.6.7, for example `Sun, 06 Nov 1994 08:49:37 GMT`.
// SPDX-License-Identifier: Apache-2.0

package import FoundationEssentials
import Synchronization

/// The time of day as HTTP spells it, made once a second.
package final class HTTPDate: Sendable {
    private struct Cached {
        var second: Int64
        var text: String
    }

    private let clock: @Sendable () -> Date
    private let cached = Mutex(Cached(second: .min, text: ""))

    package init(clock: @escaping @Sendable () -> Date = { .now }) {
        self.clock = clock
    }

    /// Of this second.
    package var text: String {
        let second = Int64(clock().timeIntervalSince1970.rounded(.down))
        return cached.withLock { cached in
            if cached.second != second { cached = Cached(second: second, text: Self.text(second)) }
            return cached.text
        }
    }

    /// `second` counts from 1970.
    package static func text(_ second: Int64) -> String {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = .gmt
        let date = Date(timeIntervalSince1970: Double(second))
        let parts = calendar.dateComponents(
            [.weekday, .day, .month, .year, .hour, .minute, .second], from: date)
        let time = [parts.hour, parts.minute, parts.second].map { padded($0, to: 2) }
        return "\(name(parts.weekday, weekdays)), \(padded(parts.day, to: 2)) "
            + "\(name(parts.month, months)) \(padded(parts.year, to: 4)) "
            + "\(time.joined(separator: ":")) GMT"
    }

    private static let weekdays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// Numbers of days and months begin at 1.
    private static func name(_ number: Int?, _ names: [String]) -> String {
        names.indices.contains((number ?? 0) - 1) ? names[(number ?? 0) - 1] : ""
    }

    private static func padded(_ value: Int?, to width: Int) -> String {
        let digits = String(value ?? 0)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
