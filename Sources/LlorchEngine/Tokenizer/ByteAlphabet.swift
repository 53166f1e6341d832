// GPT-2 vocabulary files spell bytes as printable characters; this maps them back.
// SPDX-License-Identifier: Apache-2.0

/// The 256 characters that stand for bytes in `vocab.json` and `merges.txt`.
struct ByteAlphabet {
    /// Byte of each character from U+0000 to U+0143; nil where the character stands for none.
    private let bytes: [UInt8?]

    init() {
        var bytes = [UInt8?](repeating: nil, count: 0x144)
        // Bytes without a printable Latin-1 character take U+0100 and up, in order.
        var next = 0x100
        for byte in 0..<256 {
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF:
                bytes[byte] = UInt8(byte)
            default:
                bytes[next] = UInt8(byte)
                next += 1
            }
        }
        self.bytes = bytes
    }

    /// Appends the bytes that `spelling`, in UTF-8, stands for; false when a character has none.
    func append(_ spelling: Span<UInt8>, to result: inout [UInt8]) -> Bool {
        var position = 0
        while position < spelling.count {
            var character = Int(spelling[position])
            position += 1
            // The alphabet has characters of one and two bytes only.
            if character >= 0x80 {
                guard 0xC2...0xDF ~= character, position < spelling.count,
                    spelling[position] & 0xC0 == 0x80
                else { return false }
                character = (character & 0x1F) << 6 | Int(spelling[position] & 0x3F)
                position += 1
            }
            guard character < bytes.count, let byte = bytes[character] else { return false }
            result.append(byte)
        }
        return true
    }
}
