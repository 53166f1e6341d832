// Reads JSON exactly as RFC 8259 writes it, within limits. No leniency: what one reader takes and
// another refuses is refused here. Time is linear in the length of the input. The values: JSONValue.swift.
// SPDX-License-Identifier: Apache-2.0

/// The only JSON reader of the project: messages, HTTP bodies, model files.
package enum StrictJSON {
    /// What a document may cost; each excess is an error of its own kind.
    package struct Limits: Sendable, Hashable {
        package var maximumBytes: Int
        /// Arrays and objects around the innermost value; a lone number has depth 0.
        package var maximumDepth: Int
        /// Values of all kinds, the containers included; bounds memory to a multiple of it.
        package var maximumValues: Int

        /// `maximumDepth` is at most 128: the reader recurses once a level.
        package init(maximumBytes: Int, maximumDepth: Int, maximumValues: Int = .max) {
            precondition(
                (0...128).contains(maximumDepth),
                "a depth of \(maximumDepth) is outside 0 to 128, which fits a thread's stack")
            self.maximumBytes = maximumBytes
            self.maximumDepth = maximumDepth
            self.maximumValues = maximumValues
        }

        /// A message of the queue: 1 MiB, 8 deep; a job has at most some 2,100 values.
        package static let wire = Limits(
            maximumBytes: 1 << 20, maximumDepth: 8, maximumValues: 65_536)

        /// The body of an HTTP request: 2 MiB; unknown members may be deeper than ours.
        package static let http = Limits(
            maximumBytes: 2 << 20, maximumDepth: 64, maximumValues: 65_536)

        /// A model's file, as large as its reader allows.
        package static func file(maximumBytes: Int, maximumDepth: Int = 32) -> Limits {
            Limits(maximumBytes: maximumBytes, maximumDepth: maximumDepth)
        }
    }

    /// Reads one value that takes up all of `bytes`.
    package static func parse(
        _ bytes: Span<UInt8>, limits: Limits
    ) throws(JSONSyntaxError) -> JSONValue {
        guard bytes.count <= limits.maximumBytes else {
            throw JSONSyntaxError(.tooLarge, at: limits.maximumBytes)
        }
        var reader = JSONReader(limits: limits)
        return try reader.document(bytes)
    }

    /// Reads one value that takes up all of `bytes`.
    package static func parse(
        _ bytes: [UInt8], limits: Limits
    ) throws(JSONSyntaxError) -> JSONValue {
        try parse(bytes.span, limits: limits)
    }
}

/// One pass over one document; the bytes are handed along because a span is not stored.
private struct JSONReader {
    let limits: StrictJSON.Limits
    /// Of the next unread byte.
    var position = 0
    var values = 0
    /// Reported only when all else is well: syntax comes before meaning.
    var firstDuplicate: Int?
    /// The string being read, once it has an escape; kept for its capacity.
    var scratch: [UInt8] = []

    init(limits: StrictJSON.Limits) {
        self.limits = limits
    }

    mutating func document(_ bytes: Span<UInt8>) throws(JSONSyntaxError) -> JSONValue {
        if bytes.count >= 3, bytes[0] == 0xEF, bytes[1] == 0xBB, bytes[2] == 0xBF {
            throw JSONSyntaxError(.byteOrderMark, at: 0)
        }
        skipWhitespace(bytes)
        guard position < bytes.count else { throw JSONSyntaxError(.empty, at: position) }
        let value = try value(bytes, depth: 0)
        skipWhitespace(bytes)
        guard position == bytes.count else { throw JSONSyntaxError(.trailingBytes, at: position) }
        if let firstDuplicate { throw JSONSyntaxError(.duplicateKey, at: firstDuplicate) }
        return value
    }

    /// Begins at a byte that is not white space.
    private mutating func value(
        _ bytes: Span<UInt8>, depth: Int
    ) throws(JSONSyntaxError) -> JSONValue {
        guard position < bytes.count else { throw JSONSyntaxError(.unexpectedEnd, at: position) }
        guard values < limits.maximumValues else {
            throw JSONSyntaxError(.tooManyValues, at: position)
        }
        values += 1
        switch bytes[position] {
        case UInt8(ascii: "\""): return .string(try string(bytes))
        case UInt8(ascii: "{"): return .object(try object(bytes, depth: depth + 1))
        case UInt8(ascii: "["): return .array(try array(bytes, depth: depth + 1))
        case UInt8(ascii: "t"):
            try word("true", bytes)
            return .bool(true)
        case UInt8(ascii: "f"):
            try word("false", bytes)
            return .bool(false)
        case UInt8(ascii: "n"):
            try word("null", bytes)
            return .null
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            return .number(try number(bytes))
        default: throw JSONSyntaxError(.unexpectedByte, at: position)
        }
    }

    private mutating func object(
        _ bytes: Span<UInt8>, depth: Int
    ) throws(JSONSyntaxError) -> JSONObject {
        guard depth <= limits.maximumDepth else { throw JSONSyntaxError(.tooDeep, at: position) }
        var object = JSONObject()
        position += 1
        skipWhitespace(bytes)
        if take(UInt8(ascii: "}"), bytes) { return object }
        while true {
            let start = position
            guard position < bytes.count else {
                throw JSONSyntaxError(.unexpectedEnd, at: position)
            }
            guard bytes[position] == UInt8(ascii: "\"") else {
                throw JSONSyntaxError(.unexpectedByte, at: position)
            }
            let key = try string(bytes)
            skipWhitespace(bytes)
            guard take(UInt8(ascii: ":"), bytes) else { throw unexpected(bytes) }
            skipWhitespace(bytes)
            let isNew = object.append(key: key, value: try value(bytes, depth: depth))
            if !isNew, firstDuplicate == nil { firstDuplicate = start }
            skipWhitespace(bytes)
            if take(UInt8(ascii: "}"), bytes) { return object }
            guard take(UInt8(ascii: ","), bytes) else { throw unexpected(bytes) }
            skipWhitespace(bytes)
        }
    }

    private mutating func array(
        _ bytes: Span<UInt8>, depth: Int
    ) throws(JSONSyntaxError) -> [JSONValue] {
        guard depth <= limits.maximumDepth else { throw JSONSyntaxError(.tooDeep, at: position) }
        var array: [JSONValue] = []
        position += 1
        skipWhitespace(bytes)
        if take(UInt8(ascii: "]"), bytes) { return array }
        while true {
            array.append(try value(bytes, depth: depth))
            skipWhitespace(bytes)
            if take(UInt8(ascii: "]"), bytes) { return array }
            guard take(UInt8(ascii: ","), bytes) else { throw unexpected(bytes) }
            skipWhitespace(bytes)
        }
    }

    private mutating func number(_ bytes: Span<UInt8>) throws(JSONSyntaxError) -> JSONNumber {
        let start = position
        _ = take(UInt8(ascii: "-"), bytes)
        let firstDigit = position
        let digits = skipDigits(bytes)
        guard digits > 0, digits == 1 || bytes[firstDigit] != UInt8(ascii: "0") else {
            throw JSONSyntaxError(.invalidNumber, at: start)
        }
        var mayOverflow = digits > 300
        if take(UInt8(ascii: "."), bytes), skipDigits(bytes) == 0 {
            throw JSONSyntaxError(.invalidNumber, at: start)
        }
        if take(UInt8(ascii: "e"), bytes) || take(UInt8(ascii: "E"), bytes) {
            mayOverflow = true
            if !take(UInt8(ascii: "+"), bytes) { _ = take(UInt8(ascii: "-"), bytes) }
            guard skipDigits(bytes) > 0 else { throw JSONSyntaxError(.invalidNumber, at: start) }
        }
        let number = JSONNumber(checkedLiteral: try text(bytes, from: start))
        guard !mayOverflow || number.asDouble.isFinite else {
            throw JSONSyntaxError(.numberOutOfRange, at: start)
        }
        return number
    }

    private mutating func word(
        _ word: StaticString, _ bytes: Span<UInt8>
    ) throws(JSONSyntaxError) {
        for offset in 0..<word.utf8CodeUnitCount {
            guard take(word.utf8Start[offset], bytes) else { throw unexpected(bytes) }
        }
    }

    // MARK: - Strings

    /// Begins at the opening quotation mark, ends after the closing one.
    private mutating func string(_ bytes: Span<UInt8>) throws(JSONSyntaxError) -> String {
        position += 1
        let start = position
        skipPlainText(bytes)
        guard position < bytes.count else { throw JSONSyntaxError(.unexpectedEnd, at: position) }
        if bytes[position] == UInt8(ascii: "\"") {
            let text = try text(bytes, from: start)
            position += 1
            return text
        }
        return try stringWithEscapes(bytes, from: start)
    }

    /// The text from `start` up to `position` has no escapes.
    private mutating func stringWithEscapes(
        _ bytes: Span<UInt8>, from start: Int
    ) throws(JSONSyntaxError) -> String {
        scratch.removeAll(keepingCapacity: true)
        var runStart = start
        while true {
            for index in runStart..<position { scratch.append(bytes[index]) }
            guard position < bytes.count else {
                throw JSONSyntaxError(.unexpectedEnd, at: position)
            }
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                guard let utf8 = try? UTF8Span(validating: scratch.span) else {
                    throw JSONSyntaxError(.invalidUTF8, at: start)
                }
                return String(copying: utf8)
            case UInt8(ascii: "\\"):
                try escape(bytes)
            default:
                throw JSONSyntaxError(.controlCharacter, at: position)
            }
            runStart = position
            skipPlainText(bytes)
        }
    }

    /// Adds what the escape stands for to `scratch`.
    private mutating func escape(_ bytes: Span<UInt8>) throws(JSONSyntaxError) {
        let start = position
        position += 1
        guard position < bytes.count else { throw JSONSyntaxError(.unexpectedEnd, at: position) }
        let letter = bytes[position]
        position += 1
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): scratch.append(letter)
        case UInt8(ascii: "b"): scratch.append(0x08)
        case UInt8(ascii: "f"): scratch.append(0x0C)
        case UInt8(ascii: "n"): scratch.append(0x0A)
        case UInt8(ascii: "r"): scratch.append(0x0D)
        case UInt8(ascii: "t"): scratch.append(0x09)
        case UInt8(ascii: "u"):
            scratch.append(contentsOf: try escapedScalar(bytes, from: start).utf8)
        default: throw JSONSyntaxError(.invalidEscape, at: start)
        }
    }

    /// Begins after `\u`; takes the second half of a surrogate pair too.
    private mutating func escapedScalar(
        _ bytes: Span<UInt8>, from start: Int
    ) throws(JSONSyntaxError) -> Unicode.Scalar {
        let first = try fourHexDigits(bytes, from: start)
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard first < 0xDC00, take(UInt8(ascii: "\\"), bytes), take(UInt8(ascii: "u"), bytes)
        else { throw JSONSyntaxError(.loneSurrogate, at: start) }
        let second = try fourHexDigits(bytes, from: start)
        guard (0xDC00...0xDFFF).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw JSONSyntaxError(.loneSurrogate, at: start) }
        return scalar
    }

    private mutating func fourHexDigits(
        _ bytes: Span<UInt8>, from start: Int
    ) throws(JSONSyntaxError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard position < bytes.count else {
                throw JSONSyntaxError(.unexpectedEnd, at: position)
            }
            let digit: UInt8
            switch bytes[position] {
            case let byte where (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte):
                digit = byte - UInt8(ascii: "0")
            case let byte where (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte):
                digit = byte - UInt8(ascii: "a") + 10
            case let byte where (UInt8(ascii: "A")...UInt8(ascii: "F")).contains(byte):
                digit = byte - UInt8(ascii: "A") + 10
            default: throw JSONSyntaxError(.invalidEscape, at: start)
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }

    // MARK: - Steps

    /// Stops at a quotation mark, a backslash, a control character or the end.
    private mutating func skipPlainText(_ bytes: Span<UInt8>) {
        var index = position
        while index < bytes.count {
            let byte = bytes[index]
            if byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { break }
            index += 1
        }
        position = index
    }

    private mutating func skipWhitespace(_ bytes: Span<UInt8>) {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    private mutating func skipDigits(_ bytes: Span<UInt8>) -> Int {
        let start = position
        while position < bytes.count, bytes[position] &- UInt8(ascii: "0") < 10 { position += 1 }
        return position - start
    }

    private mutating func take(_ byte: UInt8, _ bytes: Span<UInt8>) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    /// The bytes from `start` up to `position`.
    private func text(_ bytes: Span<UInt8>, from start: Int) throws(JSONSyntaxError) -> String {
        do {
            return String(copying: try UTF8Span(validating: bytes.extracting(start..<position)))
        } catch {
            throw JSONSyntaxError(.invalidUTF8, at: start + error.byteOffsets.lowerBound)
        }
    }

    private func unexpected(_ bytes: Span<UInt8>) -> JSONSyntaxError {
        JSONSyntaxError(position < bytes.count ? .unexpectedByte : .unexpectedEnd, at: position)
    }
}
