// Why bytes are not an acceptable JSON document. Holds no part of the document: it may be a prompt.
// SPDX-License-Identifier: Apache-2.0

/// The error of `StrictJSON.parse`.
package struct JSONSyntaxError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What was wrong; the raw value is the beginning of a sentence that `at byte n` ends.
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        case tooLarge = "the document is longer than allowed"
        case empty = "there is no value"
        case byteOrderMark = "a byte order mark is not JSON"
        case unexpectedEnd = "the document ends inside a value"
        case unexpectedByte = "this byte cannot stand here"
        case trailingBytes = "something follows the value"
        case invalidUTF8 = "a string is not valid UTF-8"
        case controlCharacter = "a control character in a string must be escaped"
        case invalidEscape = "this escape does not exist"
        case loneSurrogate = "half a surrogate pair is no character"
        case invalidNumber = "a number is not written as JSON demands"
        case numberOutOfRange = "a number is beyond the range of a double"
        case tooDeep = "arrays and objects are nested deeper than allowed"
        case tooManyValues = "there are more values than allowed"
        case duplicateKey = "a key stands twice in one object"
    }

    package var kind: Kind
    /// Where in the document, counted from 0.
    package var offset: Int

    package init(_ kind: Kind, at offset: Int) {
        self.kind = kind
        self.offset = offset
    }

    /// False for a document that any reader would take but whose members are ambiguous.
    package var isSyntax: Bool { kind != .duplicateKey }

    package var description: String { "\(kind.rawValue), at byte \(offset)" }
}
