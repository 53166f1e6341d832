// Turns a running answer's tokens into text, whole characters only.
// Bytes in, bytes out; stop sequences and events: the folder Generation.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

/// Gives text as soon as its characters are whole; holds at most 3 bytes.
///
/// Bytes that can be part of no character are left out, the rest goes on after them: text is always
/// valid UTF-8 and has no U+FFFD that the model did not write. What it gives, taken together, depends
/// on the tokens only.
package struct StreamingDetokenizer: Sendable {
    let tokenizer: Tokenizer
    private var characters = WholeCharacters()

    package init(_ tokenizer: Tokenizer) {
        self.tokenizer = tokenizer
    }

    /// Appends to `text` the characters that `token` completes.
    package mutating func append(
        _ token: TokenID, to text: inout [UInt8]
    ) throws(TokenizerError) {
        for byte in try tokenizer.bytes(of: token) {
            characters.append(byte, to: &text)
        }
    }

    /// Drops a character that was begun: no whole one can come of it any more.
    package mutating func finish() {
        characters = WholeCharacters()
    }
}

/// Passes on the well-formed part of a stream of bytes (Unicode 16, table 3-7).
struct WholeCharacters: Sendable {
    /// Bytes of the character begun, the first one highest.
    private var pending: UInt32 = 0
    private var pendingCount = 0
    private var missingCount = 0
    /// What the next byte must be; narrower after some first bytes, to keep out overlong forms,
    /// surrogates and what is above U+10FFFF.
    private var expected: ClosedRange<UInt8> = 0x80...0xBF

    mutating func append(_ byte: UInt8, to text: inout [UInt8]) {
        if missingCount > 0, expected.contains(byte) {
            pending = pending << 8 | UInt32(byte)
            pendingCount += 1
            missingCount -= 1
            expected = 0x80...0xBF
            if missingCount == 0 {
                for index in (0..<pendingCount).reversed() {
                    text.append(UInt8(truncatingIfNeeded: pending >> (8 * UInt32(index))))
                }
            }
            return
        }
        pending = UInt32(byte)
        pendingCount = 1
        expected = 0x80...0xBF
        switch byte {
        case 0x00...0x7F:
            missingCount = 0
            text.append(byte)
        case 0xC2...0xDF: missingCount = 1
        case 0xE0...0xEF:
            missingCount = 2
            if byte == 0xE0 { expected = 0xA0...0xBF }
            if byte == 0xED { expected = 0x80...0x9F }
        case 0xF0...0xF4:
            missingCount = 3
            if byte == 0xF0 { expected = 0x90...0xBF }
            if byte == 0xF4 { expected = 0x80...0x8F }
        default: missingCount = 0
        }
    }
}
