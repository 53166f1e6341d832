// The one closeness check of the checkpoints: shape first, then NaN and infinity, then values.
// Right references must pass it and faulty ones must not; both go through here.
// SPDX-License-Identifier: Apache-2.0

/// What comparing two arrays came to.
package enum Closeness: Sendable, CustomStringConvertible {
    case differentShapes(actual: [Int], expected: [Int])
    /// A NaN, or an infinity where the other side has none; masked scores are minus infinity on
    /// both.
    case notFinite(index: [Int], actual: Float, expected: Float)
    /// Every value could be compared.
    case compared(largest: Double, index: [Int], actual: Float, expected: Float, tolerance: Double)

    package init(
        of actual: ReferenceArray, to expected: ReferenceArray, tolerance: Double
    ) {
        guard actual.shape == expected.shape else {
            self = .differentShapes(actual: actual.shape, expected: expected.shape)
            return
        }
        var largest = 0.0
        var place = 0
        for (index, (left, right)) in zip(actual.values, expected.values).enumerated() {
            if left == right { continue }
            guard left.isFinite, right.isFinite else {
                self = .notFinite(
                    index: Closeness.index(index, in: actual.shape), actual: left, expected: right)
                return
            }
            let difference = abs(Double(left) - Double(right))
            if difference > largest { (largest, place) = (difference, index) }
        }
        self = .compared(
            largest: largest, index: Closeness.index(place, in: actual.shape),
            actual: actual.values.isEmpty ? 0 : actual.values[place],
            expected: expected.values.isEmpty ? 0 : expected.values[place], tolerance: tolerance)
    }

    package var isClose: Bool {
        if case .compared(let largest, _, _, _, let tolerance) = self {
            largest <= tolerance
        } else {
            false
        }
    }

    /// The largest difference, infinite where shapes or infinities differ.
    package var largest: Double {
        if case .compared(let largest, _, _, _, _) = self { largest } else { .infinity }
    }

    package var description: String {
        switch self {
        case .differentShapes(let actual, let expected):
            "shape \(actual), expected \(expected)"
        case .notFinite(let index, let actual, let expected):
            "\(actual) at \(index), expected \(expected)"
        case .compared(let largest, let index, let actual, let expected, let tolerance):
            "largest difference \(Float(largest)) (\(actual) for \(expected) at \(index)), "
                + "tolerance \(Float(tolerance))"
        }
    }

    private static func index(_ flat: Int, in shape: [Int]) -> [Int] {
        var rest = flat
        return shape.reversed().map { extent in
            defer { rest /= max(extent, 1) }
            return rest % max(extent, 1)
        }.reversed()
    }
}
