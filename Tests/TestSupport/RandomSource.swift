// Random values for properties; the same seed gives the same values on every machine.
// SPDX-License-Identifier: Apache-2.0

package import LlorchJSON

/// A generator that also makes text and JSON values.
package struct RandomSource: RandomNumberGenerator {
    private var generator: SplitMix

    package init(seed: UInt64) {
        generator = SplitMix(seed: seed)
    }

    package mutating func next() -> UInt64 { generator.next() }

    /// Seeds for a parameterised test: some fixed, one new with every run.
    ///
    /// A failure names its seed.
    package static let seeds: [UInt64] = [1, 2, 3, UInt64.random(in: 4 ... .max)]

    package mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }
    package mutating func flag() -> Bool { Bool.random(using: &self) }

    package mutating func maybe<Value>(_ make: (inout Self) -> Value) -> Value? {
        flag() ? make(&self) : nil
    }

    /// Mostly ordinary, often at an edge of its type.
    package mutating func integer<Value: FixedWidthInteger>(_: Value.Type = Value.self) -> Value {
        switch below(4) {
        case 0: Value.max &- Value(truncatingIfNeeded: below(2))
        case 1: Value.min &+ Value(truncatingIfNeeded: below(2))
        case 2: Value(truncatingIfNeeded: below(1000))
        default: Value(truncatingIfNeeded: next())
        }
    }

    /// What a counter on the wire may be.
    package mutating func count() -> Int {
        flag() ? below(2000) : Int(next() >> 11)
    }

    /// Letters, escapes, controls, several planes; never U+0000, which the wire refuses.
    package mutating func text(_ length: ClosedRange<Int> = 0...20) -> String {
        var text = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: length, using: &self) {
            let value =
                switch below(6) {
                case 0: UInt32(1 + below(0x1F))
                case 1: UInt32(0x22 + below(0x5E))
                case 2: UInt32(0x2020 + below(16))
                case 3: UInt32(0x300 + below(0x40))
                case 4: UInt32(1 + below(0x10FFFF))
                default: UInt32(0x61 + below(26))
                }
            text.append(Unicode.Scalar(value) ?? "\u{FFFD}")
        }
        return String(text)
    }

    package mutating func json(depth: Int) -> JSONValue {
        switch below(depth > 0 ? 8 : 6) {
        case 0: return .null
        case 1: return .bool(flag())
        case 2: return .number(JSONNumber(integer(Int64.self)))
        case 3: return .number(JSONNumber(integer(UInt64.self)))
        case 4:
            let number = JSONNumber(Double(bitPattern: next()))
            return number.map(JSONValue.number) ?? .null
        case 5: return .string(text())
        case 6: return .array((0..<below(12)).map { _ in json(depth: depth - 1) })
        default:
            var object = JSONObject()
            for _ in 0..<below(20) {
                object.append(key: text(0...4), value: json(depth: depth - 1))
            }
            return .object(object)
        }
    }
}
