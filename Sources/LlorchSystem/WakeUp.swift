// Lets another thread, or a signal handler, end a wait of the thread that owns the sockets.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A pipe that counts: each `signal()` is one byte, read back by the waiting thread.
package final class WakeUp: Sendable {
    private let readEnd: Descriptor
    private let writeEnd: Descriptor

    /// Readable while signals wait to be taken.
    package var descriptor: Int32 { readEnd.rawValue }
    /// For signal handlers, which may only call `write`.
    package var writeDescriptor: Int32 { writeEnd.rawValue }

    /// Fails when the process is out of file descriptors.
    package init() throws(SystemError) {
        var ends: [Int32] = [-1, -1]
        _ = try SystemCall.check("pipe") { unsafe pipe(&ends) }
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        readEnd = Descriptor(adopting: ends[0])
        writeEnd = Descriptor(adopting: ends[1])
    }

    /// Wakes the waiting thread; safe from any thread.
    package func signal() {
        var byte: UInt8 = 1
        // If the pipe is full, its reader is woken already.
        _ = unsafe write(writeDescriptor, &byte, 1)
    }

    /// Blocks until a signal waits to be taken.
    package func wait() throws(SystemError) {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        _ = try SystemCall.check("poll") { unsafe poll(&entry, 1, -1) }
    }

    /// Takes the signals since the last call, and returns their number.
    package func take() -> Int {
        var bytes = [UInt8](repeating: 0, count: 64)
        var total = 0
        while true {
            let count = unsafe bytes.withUnsafeMutableBytes { buffer in
                // An empty pipe answers EAGAIN.
                unsafe (try? readEnd.read(into: buffer)) ?? 0
            }
            total += count
            if count < bytes.count { return total }
        }
    }
}
