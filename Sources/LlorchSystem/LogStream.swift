// Where log lines go, so that a log which takes none cannot hold up or end its process.
// What is logged, and when, is up to whoever has a Logger.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// A descriptor, usually standard error, as the stream of a `StreamLogHandler`.
///
/// A line that would have to wait for the reader of a pipe, or finds no room on a disk, is left out. Once
/// lines are taken again, the first comes behind one that says how many are missing. Not for output that
/// must be whole.
package final class LogStream: TextOutputStream, Sendable {
    private struct State {
        /// Lines left out since the last that were told.
        var missing = 0
        /// Whether the last line taken was cut.
        var isCut = false
    }

    private let descriptor: Int32
    private let state = Mutex(State())

    package static let standardError = LogStream(descriptor: STDERR_FILENO)

    /// The descriptor stays the caller's, open as long as this is used.
    package init(descriptor: Int32) {
        self.descriptor = descriptor
        // A reader that went away is a line that is missing, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
    }

    /// Writes one line, with its newline, or leaves it out.
    package func write(_ line: String) {
        state.withLock { state in
            if state.missing > 0 {
                let notice =
                    "warning: \(state.missing) log lines are missing here, "
                    + "they could not be written\n"
                guard send(notice, &state) else {
                    state.missing += 1
                    return
                }
                state.missing = 0
            }
            if !send(line, &state) { state.missing += 1 }
        }
    }

    /// Whether all of it was taken.
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

    /// Files always are; pipes and terminals are while they have room.
    private var isReady: Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return unsafe poll(&entry, 1, 0) == 1 && entry.revents & Int16(POLLOUT) != 0
    }
}
