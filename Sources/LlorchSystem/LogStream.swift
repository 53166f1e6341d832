// Writes log lines without blocking; drops and counts lines that the reader cannot take. How a line looks: LlorchLog.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// A descriptor, usually standard error, as the stream of a log handler.
///
/// A line is left out if it would have to wait for the reader of a pipe, or if the disk is full. The next line that
/// can be written is preceded by a line that says how many are missing. Not for output that must be whole.
package final class LogStream: TextOutputStream, Sendable {
    private struct State {
        /// Lines left out that no line has told of yet.
        var missing = 0
        /// Whether only a part of the last line was written.
        var isCut = false
    }

    private let descriptor: Int32
    private let notice: @Sendable (_ missing: Int) -> String
    private let state = Mutex(State())

    /// The stream of a process's log; `notice` makes the line that tells of lines left out, without its newline.
    package static func standardError(
        notice: @escaping @Sendable (_ missing: Int) -> String = plainNotice
    ) -> LogStream {
        LogStream(descriptor: STDERR_FILENO, notice: notice)
    }

    /// The sentence about lines that were left out.
    package static func plainNotice(missing: Int) -> String {
        "warning: \(missing) log lines are missing here, they could not be written"
    }

    /// The caller owns the descriptor, and keeps it open as long as this stream is used.
    package init(
        descriptor: Int32, notice: @escaping @Sendable (_ missing: Int) -> String = plainNotice
    ) {
        self.descriptor = descriptor
        self.notice = notice
        // If the reader has gone, lines are missing; the process goes on.
        signal(SIGPIPE, SIG_IGN)
    }

    /// Writes one line, its newline included, or leaves the line out.
    package func write(_ line: String) {
        state.withLock { state in
            if state.missing > 0 {
                guard send(notice(state.missing) + "\n", &state) else {
                    state.missing += 1
                    return
                }
                state.missing = 0
            }
            if !send(line, &state) { state.missing += 1 }
        }
    }

    /// Whether the whole line was written.
    private func send(_ line: String, _ state: inout State) -> Bool {
        var rest = Array((state.isCut ? "\n" + line : line).utf8)[...]
        let whole = rest.count
        while !rest.isEmpty {
            guard isReady else { break }
            let count = unsafe rest.withUnsafeBytes {
                // A pipe that is ready takes this much without waiting.
                unsafe Glibc.write(descriptor, $0.baseAddress, min($0.count, Int(PIPE_BUF)))
            }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if count == 0 || errno != EINTR {
                break
            }
        }
        if rest.count < whole { state.isCut = !rest.isEmpty }
        return rest.isEmpty
    }

    /// Files are always ready; pipes and terminals are ready while they have room.
    private var isReady: Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return unsafe poll(&entry, 1, 0) == 1 && entry.revents & Int16(POLLOUT) != 0
    }
}
