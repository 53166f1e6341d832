// Keeps the most likely tokens, as many as a count or a share of probability asks for, without
// sorting: three counting passes over the bits of the logits find the least one that stays.
// SPDX-License-Identifier: Apache-2.0

/// Scratch memory of the filters, for a vocabulary of fixed size.
struct Selection {
    /// Unsigned integers in the order of the logits.
    private var keys: [UInt32]
    private var histogram = [UInt64](repeating: 0, count: 1 << digitBits)

    private static let digitBits = 11

    init(count: Int) {
        keys = [UInt32](repeating: 0, count: count)
    }

    /// Sets the weights of all but the `count` greatest logits to 0; of equals the lowest ids stay.
    ///
    /// - Precondition: `count` is at least 1 and below the number of logits.
    mutating func keepTop(_ count: Int, of logits: [Float], weights: inout [UInt64]) {
        keep(until: UInt64(count), of: logits, weights: &weights) { _ in 1 }
    }

    /// Keeps the fewest of the greatest logits whose weights reach `share`, one at least.
    ///
    /// - Precondition: `share` is at most the sum of the weights.
    mutating func keepTop(share: UInt64, of logits: [Float], weights: inout [UInt64]) {
        keep(until: max(share, 1), of: logits, weights: &weights) { $0 }
    }

    /// Adds up `measure` from the greatest logit downward and keeps the tokens until it is `target`.
    @inline(__always)
    private mutating func keep(
        until target: UInt64, of logits: [Float], weights: inout [UInt64],
        measure: (UInt64) -> UInt64
    ) {
        for (token, logit) in logits.enumerated() { keys[token] = Self.key(logit) }
        var rest = target
        var least: UInt32 = 0
        var known: UInt32 = 0
        for shift: UInt32 in [21, 10, 0] {
            // The last digit is one bit shorter.
            let digits = shift == 0 ? 1 << (Self.digitBits - 1) : 1 << Self.digitBits
            for digit in 0..<digits { histogram[digit] = 0 }
            for token in keys.indices where keys[token] & known == least {
                histogram[Int(keys[token] >> shift) & (digits - 1)] += measure(weights[token])
            }
            var digit = digits - 1
            while digit > 0, histogram[digit] < rest {
                rest -= histogram[digit]
                digit -= 1
            }
            least |= UInt32(digit) << shift
            known |= UInt32(digits - 1) << shift
        }
        for token in keys.indices where keys[token] <= least {
            if keys[token] == least, rest > 0 {
                rest -= min(rest, measure(weights[token]))
            } else {
                weights[token] = 0
            }
        }
    }

    /// Greater for a greater logit, equal for equal ones.
    @inline(__always)
    private static func key(_ logit: Float) -> UInt32 {
        // Adding zero makes both zeros one.
        let bits = (logit + 0).bitPattern
        return bits >> 31 == 0 ? bits | 0x8000_0000 : ~bits
    }
}
