// A JSON document in memory. Made by StrictJSON.parse; JSONWriter writes it back.
// Strings compare by their bytes, not by canonical equivalence: "é" in one code point and in two differ.
// SPDX-License-Identifier: Apache-2.0

/// Any JSON value, numbers still as they were written.
package enum JSONValue: Sendable {
    case null
    case bool(Bool)
    case number(JSONNumber)
    case string(String)
    case array([JSONValue])
    case object(JSONObject)
}

extension JSONValue: Hashable {
    package static func == (left: JSONValue, right: JSONValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let a), .bool(let b)): a == b
        case (.number(let a), .number(let b)): a == b
        case (.string(let a), .string(let b)): ExactString(a) == ExactString(b)
        case (.array(let a), .array(let b)): a == b
        case (.object(let a), .object(let b)): a == b
        default: false
        }
    }

    package func hash(into hasher: inout Hasher) {
        switch self {
        case .null: hasher.combine(0)
        case .bool(let value): hasher.combine(value)
        case .number(let value): hasher.combine(value)
        case .string(let value): hasher.combine(ExactString(value))
        case .array(let values): hasher.combine(values)
        case .object(let object): hasher.combine(object)
        }
    }
}

extension JSONValue {
    /// The members of an object; nil for other values, as with the accessors below.
    package var asObject: JSONObject? {
        if case .object(let object) = self { object } else { nil }
    }

    package var asArray: [JSONValue]? {
        if case .array(let values) = self { values } else { nil }
    }

    package var asString: String? {
        if case .string(let text) = self { text } else { nil }
    }

    package var asNumber: JSONNumber? {
        if case .number(let number) = self { number } else { nil }
    }

    package var asBool: Bool? {
        if case .bool(let flag) = self { flag } else { nil }
    }

    /// What it is, for messages: `a string`.
    package var kindName: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

/// A number as its literal, so that no digit is lost before the reader says which type it wants.
package struct JSONNumber: Sendable, Hashable {
    /// Text by the grammar of RFC 8259, section 6.
    package let literal: String

    /// The caller has checked the grammar.
    init(checkedLiteral literal: String) {
        self.literal = literal
    }

    /// Writes an integer exactly.
    package init(_ value: some BinaryInteger) {
        literal = String(value)
    }

    /// Returns nil for an infinity or NaN, which JSON does not have.
    package init?(_ value: Double) {
        guard value.isFinite else { return nil }
        literal = value.description
    }

    /// Nil when the literal is negative (`-0` too), has a fraction or exponent, or is too large.
    package var asUInt64: UInt64? {
        literal.utf8.first == UInt8(ascii: "-") ? nil : UInt64(literal)
    }

    /// Nil when the literal has a fraction or exponent (`10.0` is not an integer), or is too large.
    package var asInt64: Int64? { Int64(literal) }

    /// The nearest double; the reader refused literals beyond its range.
    package var asDouble: Double { Double(literal) ?? .nan }

    /// Narrowed as serde does it: an integer directly, anything else by way of the nearest double.
    ///
    /// Literals above the range of `Float` become infinite.
    package var asFloat: Float {
        if let integer = asUInt64 { return Float(integer) }
        if literal != "-0", let integer = asInt64 { return Float(integer) }
        return Float(asDouble)
    }
}

/// The members of an object in the order of the document; keys are unique.
package struct JSONObject: Sendable {
    package private(set) var members: [(key: String, value: JSONValue)] = []
    /// Built once there are so many members that comparing every key would be slow.
    private var positions: [ExactString: Int] = [:]

    package init() {}

    /// Returns nil when a key comes twice.
    package init?(_ members: [(key: String, value: JSONValue)]) {
        for (key, value) in members {
            guard append(key: key, value: value) else { return nil }
        }
    }

    package var count: Int { members.count }

    /// Constant time.
    package subscript(key: String) -> JSONValue? {
        position(of: key).map { members[$0].value }
    }

    /// Returns false, and changes nothing, when the key is there already.
    @discardableResult
    package mutating func append(key: String, value: JSONValue) -> Bool {
        if members.count < Self.searchedByEye {
            guard position(of: key) == nil else { return false }
        } else {
            if positions.isEmpty {
                for (index, member) in members.enumerated() {
                    positions[ExactString(member.key)] = index
                }
            }
            let exact = ExactString(key)
            if let earlier = positions.updateValue(members.count, forKey: exact) {
                positions[exact] = earlier
                return false
            }
        }
        members.append((key, value))
        return true
    }

    private func position(of key: String) -> Int? {
        if !positions.isEmpty { return positions[ExactString(key)] }
        let exact = ExactString(key)
        return members.firstIndex { ExactString($0.key) == exact }
    }

    /// Up to here comparing every key is cheaper than hashing one.
    private static let searchedByEye = 8
}

extension JSONObject: Hashable {
    /// Objects are equal only with their members in the same order.
    package static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.members.elementsEqual(right.members) {
            ExactString($0.key) == ExactString($1.key) && $0.value == $1.value
        }
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(members.count)
        for (key, value) in members {
            hasher.combine(ExactString(key))
            hasher.combine(value)
        }
    }
}

/// A string that is equal to another only when all bytes are, and hashes without normalisation.
struct ExactString: Sendable, Hashable {
    let text: String

    init(_ text: String) {
        self.text = text
    }

    static func == (left: ExactString, right: ExactString) -> Bool {
        // Most strings differ in length, which is compared without a call.
        guard left.text.utf8.count == right.text.utf8.count else { return false }
        let a = left.text.utf8.span
        let b = right.text.utf8.span
        for index in a.indices where a[index] != b[index] { return false }
        return true
    }

    func hash(into hasher: inout Hasher) {
        text.utf8.span.withUnsafeBytes { hasher.combine(bytes: $0) }
    }
}
