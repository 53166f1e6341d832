// Times sorted into bounds, as Prometheus wants them. The text of a histogram: Metrics/PrometheusText.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchSystem

/// How many observations were at most each bound, in seconds or in milliseconds.
package struct Histogram: Sendable, Hashable {
    package let bounds: [Double]
    private let unitsPerSecond: Double
    /// Observations per interval that ends at a bound; those above the last one come last.
    private var counts: [Int]
    package private(set) var sum = 0.0

    /// - Precondition: the bounds rise.
    package init(bounds: [Double], inMilliseconds: Bool = false) {
        unitsPerSecond = inMilliseconds ? 1_000 : 1
        precondition(zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }, "bounds \(bounds)")
        self.bounds = bounds
        counts = Array(repeating: 0, count: bounds.count + 1)
    }

    /// A negative time counts as none.
    package mutating func observe(_ time: Duration) {
        let value = Double(max(0, time.wholeMicroseconds)) / (1e6 / unitsPerSecond)
        counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
        sum += value
    }

    package var count: Int { counts.reduce(0, +) }

    /// For each bound the observations at or below it.
    package var cumulative: [Int] {
        var total = 0
        return counts.dropLast().map { count in
            total += count
            return total
        }
    }
}
