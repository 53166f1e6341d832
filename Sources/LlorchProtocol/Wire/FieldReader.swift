// Takes typed fields out of one JSON object and notes all that is wrong with them, not just the first.
// It checks types only; which values are allowed is in JobValidation.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON

/// A type a field may have, and the words for it.
struct FieldType<Value>: Sendable {
    /// `u32`, as in the constraint `type(u32)`.
    let name: String
    /// `an integer from 0 to 4294967295`, as in the message.
    let phrase: String
    /// `a number`: the kind of JSON value that comes nearest.
    let kindName: String
    let convert: @Sendable (JSONValue) -> Value?
}

extension FieldType where Value == String {
    static var text: Self {
        Self(name: "string", phrase: "a string", kindName: "a string") { $0.asString }
    }
}

extension FieldType where Value == Bool {
    static var flag: Self {
        Self(name: "bool", phrase: "true or false", kindName: "a boolean") { $0.asBool }
    }
}

extension FieldType where Value == UInt32 {
    static var u32: Self {
        Self(name: "u32", phrase: "an integer from 0 to 4294967295", kindName: "a number") {
            $0.asNumber?.asUInt64.flatMap(UInt32.init(exactly:))
        }
    }

    static var positiveU32: Self {
        Self(name: "u32", phrase: "an integer from 1 to 4294967295", kindName: "a number") {
            $0.asNumber?.asUInt64.flatMap { $0 == 0 ? nil : UInt32(exactly: $0) }
        }
    }
}

extension FieldType where Value == UInt64 {
    static var u64: Self {
        Self(
            name: "u64", phrase: "an integer from 0 to 18446744073709551615",
            kindName: "a number"
        ) { $0.asNumber?.asUInt64 }
    }
}

extension FieldType where Value == Int {
    /// 0 to 2^53 − 1: the sum of two does not overflow, and every JSON reader keeps the value exact.
    static var count: Self {
        Self(name: "count", phrase: "an integer from 0 to 9007199254740991", kindName: "a number") {
            $0.asNumber?.asUInt64.flatMap { $0 < 1 << 53 ? Int($0) : nil }
        }
    }
}

extension FieldType where Value == Float {
    static var f32: Self {
        Self(name: "f32", phrase: "a number", kindName: "a number") { $0.asNumber?.asFloat }
    }
}

extension FieldType where Value == Double {
    static var f64: Self {
        Self(name: "f64", phrase: "a number", kindName: "a number") { $0.asNumber?.asDouble }
    }
}

extension FieldType where Value == JSONObject {
    static var object: Self {
        Self(name: "object", phrase: "an object", kindName: "an object") { $0.asObject }
    }
}

extension FieldType {
    /// An array of this type.
    var list: FieldType<[Value]> {
        let convert = self.convert
        return FieldType<[Value]>(
            name: "[\(name)]", phrase: "an array, each element \(phrase)", kindName: "an array"
        ) { value in
            guard let elements = value.asArray else { return nil }
            var values: [Value] = []
            values.reserveCapacity(elements.count)
            for element in elements {
                guard let value = convert(element) else { return nil }
                values.append(value)
            }
            return values
        }
    }

    /// This type or null, which counts as absent.
    var orNull: FieldType<Value?> {
        let convert = self.convert
        return FieldType<Value?>(
            name: "\(name)|null", phrase: phrase + ", or null", kindName: kindName
        ) { value in
            if case .null = value { return .some(nil) }
            return convert(value).map { .some($0) }
        }
    }
}

/// Reads fields one by one; after the last, `problems` says whether the values may be used.
struct FieldReader {
    let object: JSONObject
    private(set) var problems: [FieldError] = []

    init(_ object: JSONObject) {
        self.object = object
    }

    /// Whether the field is there and not null.
    func has(_ field: String) -> Bool { object[field].map { $0 != .null } ?? false }

    /// Nil when the field is absent or null, or of another type, which is a problem.
    ///
    /// Serializers of C#, Java and Go write null for a member that was not given.
    mutating func optional<Value>(_ field: String, _ type: FieldType<Value>) -> Value? {
        guard let found = object[field], found != .null else { return nil }
        return convert(found, of: field, type)
    }

    private mutating func convert<Value>(
        _ found: JSONValue, of field: String, _ type: FieldType<Value>
    ) -> Value? {
        if let value = type.convert(found) { return value }
        let isNear = found.kindName == type.kindName
        problems.append(
            FieldError(
                field: field, constraint: "type(\(type.name))",
                message: "\(field) must be \(type.phrase), found \(found.kindName)"
                    + (isNear ? " that is not" : "")))
        return nil
    }

    /// Absence is a problem too.
    mutating func required<Value>(_ field: String, _ type: FieldType<Value>) -> Value? {
        guard let found = object[field] else {
            problems.append(
                FieldError(
                    field: field, constraint: "required", message: "\(field) is required"))
            return nil
        }
        return convert(found, of: field, type)
    }

    /// The enumeration case with this spelling.
    mutating func required<Value>(_ field: String, oneOf type: Value.Type) -> Value?
    where Value: CaseIterable & RawRepresentable, Value.RawValue == String, Value: Sendable {
        required(
            field,
            FieldType<Value>(
                name: "enum",
                phrase: "one of " + Value.allCases.map(\.rawValue).joined(separator: ", "),
                kindName: "a string"
            ) { $0.asString.flatMap(Value.init(rawValue:)) })
    }

    mutating func note(_ problem: FieldError) {
        problems.append(problem)
    }

    /// Every member outside `known` is a problem, unless its name begins with `x_`.
    mutating func refuseFields(notIn known: Set<String>) {
        for (key, _) in object.members where !known.contains(key) && !key.hasPrefix("x_") {
            let isName =
                key.utf8.count <= 64
                && key.utf8.allSatisfy { $0 == UInt8(ascii: "_") || isLetterOrDigit($0) }
            let name = isName ? key : "(not a name)"
            problems.append(
                FieldError(
                    field: name, constraint: "known_field",
                    message: "\(name) is no field of this message; "
                        + "names that begin with x_ are ignored"))
        }
    }
}

func isLetterOrDigit(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
    default: false
    }
}
