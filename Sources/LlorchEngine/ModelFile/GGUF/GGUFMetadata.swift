// The keys and values at the beginning of a GGUF file. All are checked, few are looked at: values stay
// bytes until someone asks, so that a file cannot make its reader build what it does not need.
// SPDX-License-Identifier: Apache-2.0

/// Values by key, each key once.
package struct GGUFMetadata: Sendable {
    /// The raw value is the format's number.
    package enum ValueType: UInt32, Sendable, Hashable {
        case uint8 = 0
        case int8
        case uint16
        case int16
        case uint32
        case int32
        case float32
        case bool
        case string
        case array
        case uint64
        case int64
        case float64

        /// Nil where the value says itself how long it is.
        var byteCount: Int? {
            switch self {
            case .uint8, .int8, .bool: 1
            case .uint16, .int16: 2
            case .uint32, .int32, .float32: 4
            case .uint64, .int64, .float64: 8
            case .string, .array: nil
            }
        }
    }

    private struct Place {
        var type: ValueType
        var range: Range<Int>
    }

    /// For messages.
    let path: String
    private let bytes: [UInt8]
    private var entries: [String: Place] = [:]

    /// llama.cpp writes some forty; nothing here is allocated by what a file says of itself.
    static let maximumCount = 1 << 14
    private static let maximumKeyBytes = 0xFFFF
    private static let maximumDepth = 8

    init(
        parsing cursor: inout GGUFCursor, count: UInt64, path: String
    ) throws(GGUFFailure) {
        guard count <= UInt64(Self.maximumCount) else {
            throw .malformed("has \(count) metadata keys, expected at most \(Self.maximumCount)")
        }
        self.path = path
        bytes = cursor.bytes
        for index in 0..<count {
            let key = try cursor.name(
                "the key of metadata \(index)", maximumBytes: Self.maximumKeyBytes)
            let quoted = key.quotedForMessage
            let type = try Self.valueType(&cursor, quoted)
            let start = cursor.position
            try Self.skip(type, &cursor, quoted, depth: 0)
            let entry = Place(type: type, range: start..<cursor.position)
            guard entries.updateValue(entry, forKey: key) == nil else {
                throw .malformed("has the metadata key \(quoted) twice")
            }
        }
    }

    private static func valueType(
        _ cursor: inout GGUFCursor, _ key: String
    ) throws(GGUFFailure) -> ValueType {
        let number = try cursor.uint32("the value of \(key)")
        guard let type = ValueType(rawValue: number) else {
            throw .malformed("the value of \(key) has the unknown type \(number)")
        }
        return type
    }

    private static func skip(
        _ type: ValueType, _ cursor: inout GGUFCursor, _ key: String, depth: Int
    ) throws(GGUFFailure) {
        let what = "the value of \(key)"
        switch type {
        case .string: _ = try cursor.string(what)
        case .array:
            guard depth < maximumDepth else {
                throw .malformed("\(what) has arrays nested deeper than \(maximumDepth)")
            }
            let elementType = try valueType(&cursor, key)
            let count = try cursor.uint64(what)
            if let byteCount = elementType.byteCount {
                let (size, overflow) = count.multipliedReportingOverflow(by: UInt64(byteCount))
                let range = try cursor.take(overflow ? .max : size, what)
                if elementType == .bool { try checkBools(cursor, range, what) }
            } else {
                // A string is at least its length, an array its type and its count.
                let least = elementType == .string ? 8 : 12
                guard count <= UInt64(cursor.rest / least) else { throw .truncated(what) }
                for _ in 0..<count { try skip(elementType, &cursor, key, depth: depth + 1) }
            }
        default:
            let range = try cursor.take(UInt64(type.byteCount ?? 0), what)
            if type == .bool { try checkBools(cursor, range, what) }
        }
    }

    private static func checkBools(
        _ cursor: GGUFCursor, _ range: Range<Int>, _ what: String
    ) throws(GGUFFailure) {
        for index in range where cursor.bytes[index] > 1 {
            throw .malformed("\(what) must be 0 or 1, found \(cursor.bytes[index])")
        }
    }

    // MARK: - Values

    package var count: Int { entries.count }

    package func has(_ key: String) -> Bool { entries[key] != nil }

    /// An integer of any type; nil where there is no such key.
    package func integer(_ key: String) throws(ModelFileError) -> Int? {
        guard let entry = entries[key] else { return nil }
        guard let value = integer(entry.type, at: entry.range) else {
            throw mismatch(key, expected: "an integer", entry.type)
        }
        return value
    }

    package func float(_ key: String) throws(ModelFileError) -> Float? {
        guard let entry = entries[key] else { return nil }
        let bits = unsigned(at: entry.range)
        switch entry.type {
        case .float32: return Float(bitPattern: UInt32(truncatingIfNeeded: bits))
        case .float64: return Float(Double(bitPattern: bits))
        default: throw mismatch(key, expected: "a float", entry.type)
        }
    }

    package func flag(_ key: String) throws(ModelFileError) -> Bool? {
        guard let entry = entries[key] else { return nil }
        guard entry.type == .bool else { throw mismatch(key, expected: "a bool", entry.type) }
        return unsigned(at: entry.range) != 0
    }

    package func text(_ key: String) throws(ModelFileError) -> String? {
        guard let entry = entries[key] else { return nil }
        guard entry.type == .string else { throw mismatch(key, expected: "a string", entry.type) }
        guard let text = text(at: entry.range.dropFirst(8)) else { throw notUTF8(key) }
        return text
    }

    package func texts(_ key: String, maximumCount: Int) throws(ModelFileError) -> [String]? {
        guard let (type, count, first) = try array(key, maximumCount: maximumCount) else {
            return nil
        }
        guard type == .string else {
            throw mismatch(key, expected: "an array of strings", type, isElement: true)
        }
        var texts: [String] = []
        texts.reserveCapacity(count)
        var position = first
        for _ in 0..<count {
            let start = position + 8
            position = start + Int(unsigned(at: position..<start))
            guard let text = text(at: start..<position) else { throw notUTF8(key) }
            texts.append(text)
        }
        return texts
    }

    /// The number of texts in an array, and the place of each of `candidates` that is one of them; zero and none where
    /// there is no such array.
    func places(
        of candidates: Set<String>, in key: String
    ) throws(ModelFileError) -> (count: Int, places: [String: Int]) {
        guard let (type, count, first) = try array(key, maximumCount: .max), type == .string
        else { return (0, [:]) }
        let lengths = Set(candidates.map(\.utf8.count))
        var places: [String: Int] = [:]
        var position = first
        for index in 0..<count {
            let start = position + 8
            let length = Int(unsigned(at: position..<start))
            position = start + length
            guard lengths.contains(length), let text = text(at: start..<position),
                candidates.contains(text), places[text] == nil
            else { continue }
            places[text] = index
        }
        return (count, places)
    }

    package func integers(_ key: String, maximumCount: Int) throws(ModelFileError) -> [Int]? {
        guard let (type, count, first) = try array(key, maximumCount: maximumCount) else {
            return nil
        }
        var integers: [Int] = []
        integers.reserveCapacity(count)
        for index in 0..<count {
            let size = type.byteCount ?? 0
            let start = first + index * size
            guard let value = integer(type, at: start..<start + size) else {
                throw mismatch(key, expected: "an array of integers", type, isElement: true)
            }
            integers.append(value)
        }
        return integers
    }

    /// The bytes of a value as they are in the file, for a digest; empty where there is none.
    package func update(_ digest: inout ContentDigest, with key: String) {
        digest.update(bytes.span.extracting(entries[key]?.range ?? 0..<0))
    }

    /// Type and number of the elements, and where they begin.
    private func array(
        _ key: String, maximumCount: Int
    ) throws(ModelFileError) -> (ValueType, Int, Int)? {
        guard let entry = entries[key] else { return nil }
        let start = entry.range.lowerBound
        guard entry.type == .array,
            let type = ValueType(
                rawValue: UInt32(truncatingIfNeeded: unsigned(at: start..<start + 4)))
        else {
            throw mismatch(key, expected: "an array", entry.type)
        }
        let count = unsigned(at: start + 4..<start + 12)
        guard count <= UInt64(maximumCount) else {
            throw ModelFileError(
                .malformed, path: path,
                problem: "\(key) has \(count) elements, expected at most \(maximumCount)")
        }
        return (type, Int(count), start + 12)
    }

    /// Nil for what is no integer, and for what no `Int` holds.
    private func integer(_ type: ValueType, at range: Range<Int>) -> Int? {
        let bits = unsigned(at: range)
        return switch type {
        case .uint8, .uint16, .uint32, .uint64: Int(exactly: bits)
        case .int8: Int(Int8(truncatingIfNeeded: bits))
        case .int16: Int(Int16(truncatingIfNeeded: bits))
        case .int32: Int(Int32(truncatingIfNeeded: bits))
        case .int64: Int(Int64(bitPattern: bits))
        case .float32, .float64, .bool, .string, .array: nil
        }
    }

    /// The first eight bytes at most, little-endian.
    private func unsigned(at range: Range<Int>) -> UInt64 {
        var value: UInt64 = 0
        for index in range.prefix(8).reversed() { value = value << 8 | UInt64(bytes[index]) }
        return value
    }

    private func text(at range: Range<Int>) -> String? {
        guard let text = try? UTF8Span(validating: bytes.span.extracting(range)) else { return nil }
        return String(copying: text)
    }

    private func mismatch(
        _ key: String, expected: String, _ type: ValueType, isElement: Bool = false
    ) -> ModelFileError {
        let found = isElement ? "an array of \(type)" : "\(type)"
        return ModelFileError(
            .malformed, path: path, problem: "\(key) must be \(expected), found \(found)",
            remedy: GGUFFile.convertAgain)
    }

    private func notUTF8(_ key: String) -> ModelFileError {
        ModelFileError(.malformed, path: path, problem: "\(key) has text that is not UTF-8")
    }
}
