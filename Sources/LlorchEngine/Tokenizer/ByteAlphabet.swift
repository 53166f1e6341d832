// GPT-2 vocabulary files spell bytes as printable characters; this maps them back.
// SPDX-License-Identifier: Apache-2.0

/// The 256 characters that stand for bytes in `vocab.json` and `merges.txt`.
enum ByteAlphabet {
    /// Byte of each character from U+0000 to U+0143; nil where the character stands for none.
    private static let bytes: [UInt8?] = {
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
        return bytes
    }()

    /// Appends the bytes that `spelling` stands for; false when a character stands for none.
    static func append(
        _ spelling: some Sequence<Unicode.Scalar>, to bytes: inout [UInt8]
    ) -> Bool {
        for scalar in spelling {
            guard scalar.value < self.bytes.count, let byte = self.bytes[Int(scalar.value)] else {
                return false
            }
            bytes.append(byte)
        }
        return true
    }
}
