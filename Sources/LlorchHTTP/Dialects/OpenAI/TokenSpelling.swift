// Tokens as text: OpenAI's spelling of a token, and where a token begins in the text that all of them make.
// SPDX-License-Identifier: Apache-2.0

/// How a token is spelled in `logprobs`.
enum TokenSpelling {
    /// The token's text, or `bytes:\xe2\x80` for bytes that are not UTF-8 by themselves.
    static func text(of bytes: [UInt8]) -> String {
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        return bytes.reduce(into: "bytes:") { text, byte in
            text += byte < 0x10 ? "\\x0" : "\\x"
            text += String(byte, radix: 16)
        }
    }
}

/// Counts the characters, as Unicode code points, of a text that comes in pieces of bytes.
struct CharacterCount {
    /// Whole characters so far; a piece that begins inside a character has this as its offset.
    private(set) var whole = 0
    /// The beginning of a character that is not whole yet.
    private var rest: [UInt8] = []

    mutating func append(_ bytes: [UInt8]) {
        rest += bytes
        let end = rest.count - Self.openEnd(of: rest)
        whole += String(decoding: rest[..<end], as: UTF8.self).unicodeScalars.count
        rest.removeFirst(end)
    }

    /// How many bytes at the end belong to a character that goes on, 0 to 3.
    private static func openEnd(of bytes: [UInt8]) -> Int {
        for (behind, byte) in bytes.suffix(3).reversed().enumerated() where byte & 0xC0 != 0x80 {
            let length =
                switch byte {
                case 0xC2...0xDF: 2
                case 0xE0...0xEF: 3
                case 0xF0...0xF4: 4
                default: 1
                }
            return behind + 1 < length ? behind + 1 : 0
        }
        return 0
    }
}
