// Names of files as text: Linux's names are bytes, of which most but not all are UTF-8.
// Text from outside in logs: LogText.swift.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Spells any bytes as text, and back without a loss.
///
/// A byte that belongs to no UTF-8 becomes one of the last 128 characters of Unicode, which are for private use;
/// such a character in the bytes becomes four of them, one for each of its bytes.
package enum PathText {
    private static let first: UInt32 = 0x10_FF80

    /// Reads bytes up to a zero.
    static func text(cString: UnsafePointer<CChar>) -> String {
        unsafe text(UnsafeRawBufferPointer(start: cString, count: strlen(cString)))
    }

    package static func text(_ bytes: some Collection<UInt8>) -> String {
        if let text = String(validating: bytes, as: UTF8.self), isPlain(text) { return text }
        var text = String.UnicodeScalarView()
        var rest = Array(bytes)[...]
        while let byte = rest.first {
            let length = [4, 3, 2, 1].first { length in
                guard rest.count >= length else { return false }
                let part = String(validating: rest.prefix(length), as: UTF8.self)
                return part.map { $0.unicodeScalars.count == 1 && isPlain($0) } ?? false
            }
            if let length {
                text += String(decoding: rest.prefix(length), as: UTF8.self).unicodeScalars
            } else if let scalar = Unicode.Scalar(first + UInt32(byte & 0x7F)) {
                text.append(scalar)
            }
            rest = rest.dropFirst(length ?? 1)
        }
        return String(text)
    }

    /// The bytes that the text was made of.
    package static func bytes(_ text: String) -> [UInt8] {
        guard !isPlain(text) else { return Array(text.utf8) }
        return text.unicodeScalars.flatMap { scalar in
            byte(scalar).map { [$0] } ?? Array(String(scalar).utf8)
        }
    }

    /// Whether the text is UTF-8 as it stands.
    package static func isPlain(_ text: String) -> Bool {
        !text.unicodeScalars.contains { byte($0) != nil }
    }

    /// The text for a person: `caf\xE9`.
    package static func shown(_ text: String) -> String {
        guard !isPlain(text) else { return text }
        return text.unicodeScalars.map { scalar in
            byte(scalar).map { "\\x" + String($0, radix: 16, uppercase: true) } ?? String(scalar)
        }.joined()
    }

    private static func byte(_ scalar: Unicode.Scalar) -> UInt8? {
        scalar.value >= first ? UInt8(scalar.value - first) | 0x80 : nil
    }

    /// Calls `body` with the text's bytes and a zero behind them, as the system takes a path.
    static func withCString<Result>(
        _ text: String, _ body: (UnsafePointer<CChar>) -> Result
    ) -> Result {
        if isPlain(text) { return unsafe text.withCString(body) }
        let characters = bytes(text).map { CChar(bitPattern: $0) } + [0]
        return unsafe characters.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else {
                preconditionFailure("no zero behind a path")
            }
            return unsafe body(base)
        }
    }
}
