// Writes compact JSON that StrictJSON and every other reader take. The values: JSONValue.swift.
// SPDX-License-Identifier: Apache-2.0

/// Appends JSON text piece by piece; commas come by themselves.
package struct JSONWriter {
    /// The text so far; a whole document once every `begin` has its `end`.
    package private(set) var bytes: [UInt8] = []
    /// Whether a value stands before the next one in the same container.
    private var needsComma = false

    package init() {
        // Most messages fit in this without growing.
        bytes.reserveCapacity(256)
    }

    package mutating func beginObject() { begin(UInt8(ascii: "{")) }
    package mutating func endObject() { end(UInt8(ascii: "}")) }
    package mutating func beginArray() { begin(UInt8(ascii: "[")) }
    package mutating func endArray() { end(UInt8(ascii: "]")) }

    /// The name of the member whose value comes next.
    package mutating func key(_ key: String) {
        string(key)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    package mutating func null() { word("null") }
    package mutating func bool(_ value: Bool) { word(value ? "true" : "false") }
    package mutating func integer(_ value: some BinaryInteger) {
        // Fast for the concrete type; the generic one divides big numbers digit by digit.
        if let value = Int64(exactly: value) { word(String(value)) } else { word(String(value)) }
    }

    /// The shortest text that reads back as the same double; `null` for an infinity or NaN.
    package mutating func number(_ value: Double) {
        word(value.isFinite ? value.description : "null")
    }

    /// The shortest text that reads back as the same float, by way of a double too.
    package mutating func number(_ value: Float) {
        let short = value.description
        if let double = Double(short), Float(double) == value, value.isFinite {
            word(short)
        } else {
            number(Double(value))
        }
    }

    package mutating func number(_ value: JSONNumber) { word(value.literal) }

    /// UTF-8 stays; quotation marks, backslashes, all control characters and U+2028/2029 are escaped.
    ///
    /// No character at which a reader of lines cuts is left: Python's `str.splitlines` cuts at U+000B,
    /// U+000C, U+001C to U+001E, U+0085, U+2028 and U+2029, JavaScript and Java at some of them.
    package mutating func string(_ text: String) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        if Self.isPlain(text) {
            bytes.append(contentsOf: text.utf8)
        } else {
            escaped(text)
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// Whether the text can be written as it is, because no byte of it needs an escape.
    private static func isPlain(_ text: String) -> Bool {
        let utf8 = text.utf8.span
        for index in utf8.indices {
            switch utf8[index] {
            case 0x00..<0x20, UInt8(ascii: "\""), UInt8(ascii: "\\"), 0x7F, 0xC2, 0xE2:
                return false
            default: continue
            }
        }
        return true
    }

    private mutating func escaped(_ text: String) {
        let utf8 = text.utf8.span
        var index = 0
        while index < utf8.count {
            let byte = utf8[index]
            index += 1
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): escape(byte)
            case 0x08: escape(UInt8(ascii: "b"))
            case 0x09: escape(UInt8(ascii: "t"))
            case 0x0A: escape(UInt8(ascii: "n"))
            case 0x0C: escape(UInt8(ascii: "f"))
            case 0x0D: escape(UInt8(ascii: "r"))
            case 0x00..<0x20, 0x7F: escapeControl(byte)
            case 0xC2 where index < utf8.count && utf8[index] < 0xA0:
                escapeControl(utf8[index])
                index += 1
            case 0xE2
            where index + 1 < utf8.count && utf8[index] == 0x80 && utf8[index + 1] & 0xFE == 0xA8:
                bytes.append(contentsOf: utf8[index + 1] == 0xA8 ? "\\u2028".utf8 : "\\u2029".utf8)
                index += 2
            default: bytes.append(byte)
            }
        }
    }

    /// Writes `\u0000` to `\u009f`.
    private mutating func escapeControl(_ code: UInt8) {
        bytes.append(contentsOf: code < 0x10 ? "\\u000".utf8 : "\\u00".utf8)
        bytes.append(contentsOf: String(code, radix: 16).utf8)
    }

    /// A value that another writer has written.
    package mutating func rendered(_ value: [UInt8]) {
        separate()
        bytes.append(contentsOf: value)
    }

    package mutating func value(_ value: JSONValue) {
        switch value {
        case .null: null()
        case .bool(let flag): bool(flag)
        case .number(let literal): number(literal)
        case .string(let text): string(text)
        case .array(let values):
            beginArray()
            for element in values { self.value(element) }
            endArray()
        case .object(let object):
            beginObject()
            for (name, member) in object.members {
                key(name)
                self.value(member)
            }
            endObject()
        }
    }

    // MARK: - Pieces

    private mutating func begin(_ bracket: UInt8) {
        separate()
        bytes.append(bracket)
        needsComma = false
    }

    private mutating func end(_ bracket: UInt8) {
        bytes.append(bracket)
        needsComma = true
    }

    private mutating func word(_ text: String) {
        separate()
        bytes.append(contentsOf: text.utf8)
    }

    private mutating func escape(_ letter: UInt8) {
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(letter)
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }
}

extension JSONValue {
    /// Compact text.
    package func serialized() -> [UInt8] {
        var writer = JSONWriter()
        writer.value(self)
        return writer.bytes
    }
}
