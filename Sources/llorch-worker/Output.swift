// Bytes to the two standard streams, whole and unbuffered: tokens must show when they exist.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The process's standard streams.
enum Output {
    static var errorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }
    static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

    static func write(_ text: String) { write(Array(text.utf8), to: STDOUT_FILENO) }

    static func write(_ bytes: [UInt8]) { write(bytes, to: STDOUT_FILENO) }

    /// A line of its own, as JSON lines are.
    static func writeLine(_ bytes: [UInt8]) { write(bytes + [UInt8(ascii: "\n")]) }

    static func standardError(_ text: String) { write(Array(text.utf8), to: STDERR_FILENO) }

    /// A reader that went away ends the process by SIGPIPE, as it does for any filter.
    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                guard errno == EINTR else { return }
            } else {
                rest = rest.dropFirst(count)
            }
        }
    }
}

/// The process's standard input.
enum Input {
    struct TooLarge: Error, CustomStringConvertible {
        let limit: Int
        var description: String { "standard input is longer than \(limit) bytes" }
    }

    /// All of it.
    static func readAll(limit: Int = 1 << 30) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = buffer.withUnsafeMutableBytes {
                Glibc.read(STDIN_FILENO, $0.baseAddress, $0.count)
            }
            if count == 0 { return bytes }
            if count > 0 {
                guard bytes.count + count <= limit else { throw TooLarge(limit: limit) }
                bytes += buffer[..<count]
            } else if errno != EINTR {
                return bytes
            }
        }
    }
}
