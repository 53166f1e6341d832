// The process's standard streams: whole, unbuffered, because a token must show when it exists, and every write checked.
// Log lines, which may be left out: LogStream.swift. Standard input: InputFile.swift.
// SPDX-License-Identifier: Apache-2.0

import CLlorchSystem
import Glibc

/// Why standard output does not have all that was meant for it.
package struct OutputError: Error, Sendable, Hashable, CustomStringConvertible {
    package let cause: SystemError

    package var description: String { "standard output cannot be written: \(cause.reason)" }
}

/// The process's standard streams.
package enum Output {
    package static var errorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }
    package static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }

    package static func write(_ text: String) throws(OutputError) { try write(Array(text.utf8)) }

    package static func write(_ bytes: [UInt8]) throws(OutputError) {
        do throws(SystemError) {
            try Descriptor.write(bytes.span, to: STDOUT_FILENO)
        } catch {
            throw OutputError(cause: error)
        }
    }

    /// Writes a line of its own, as JSON lines are.
    package static func writeLine(_ bytes: [UInt8]) throws(OutputError) {
        try write(bytes + [UInt8(ascii: "\n")])
    }

    /// Tells what a file system reports only when a file is closed, as NFS does of a full disk.
    package static func finish() throws(OutputError) {
        let copy = dup(STDOUT_FILENO)
        // Whoever wrote to a closed stream knows by now.
        guard copy >= 0 else { return }
        guard close(copy) == 0 || errno == EINTR else {
            throw OutputError(cause: SystemError("close", errno))
        }
    }

    /// Where standard error cannot be written, nobody is left to be told.
    package static func standardError(_ text: String) {
        try? Descriptor.write(Array(text.utf8).span, to: STDERR_FILENO)
    }

    /// Redraws a line on standard error, which a signal or an error clears.
    package static func redraw(_ line: String) {
        llorch_set_line_open(true)
        standardError("\r\(line)")
    }

    /// Clears the line that was redrawn, if there is one.
    package static func clearLine() { llorch_clear_line() }
}

package enum StandardDescriptors {
    /// Puts something at those of the descriptors 0 to 2 that are closed, before anything else is opened.
    ///
    /// A socket or a file of a model would be opened there, and would receive what is printed. What is put there can
    /// neither be read nor written: a command that needs the stream still finds out.
    package static func fill() throws(SystemError) {
        for number in STDIN_FILENO...STDERR_FILENO where fcntl(number, F_GETFD) < 0 {
            // The lowest free number is given, and those below are taken.
            _ = try SystemCall.check("open /") { llorch_open_placeholder() }
        }
    }
}
