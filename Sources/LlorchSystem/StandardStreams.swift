// The process's standard streams, whole and unbuffered: a token must show when it exists.
// Log lines, which may be left out: LogStream.swift.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The process's standard streams.
package enum Output {
    package static var errorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }
    package static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

    package static func write(_ text: String) { write(Array(text.utf8), to: STDOUT_FILENO) }

    package static func write(_ bytes: [UInt8]) { write(bytes, to: STDOUT_FILENO) }

    /// Writes a line of its own, as JSON lines are.
    package static func writeLine(_ bytes: [UInt8]) { write(bytes + [UInt8(ascii: "\n")]) }

    package static func standardError(_ text: String) { write(Array(text.utf8), to: STDERR_FILENO) }

    /// If the reader has gone, SIGPIPE ends the process, as it does any filter.
    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        try? Descriptor.write(bytes.span, to: descriptor)
    }
}

/// The process's standard input.
package enum Input {
    package struct TooLarge: Error, CustomStringConvertible {
        package let limit: Int
        package var description: String { "standard input is longer than \(limit) bytes" }
    }

    /// All bytes until the end of standard input.
    package static func readAll(limit: Int = 1 << 30) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes { buffer in
                unsafe (try? Descriptor.read(from: STDIN_FILENO, into: buffer)) ?? 0
            }
            guard count > 0 else { return bytes }
            guard bytes.count + count <= limit else { throw TooLarge(limit: limit) }
            bytes += buffer[..<count]
        }
    }
}
