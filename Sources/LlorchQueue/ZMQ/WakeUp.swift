// Lets another thread, or a signal handler, end a wait of the thread that owns the sockets.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A pipe that counts: each `signal()` is one byte, read back by the waiting thread.
package final class WakeUp: Sendable {
    /// Readable while signals wait to be taken.
    package let descriptor: Int32
    /// For handlers that may only call `write`.
    package let writeDescriptor: Int32

    /// Fails when the process is out of file descriptors.
    package init() throws(SystemError) {
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else { throw SystemError("pipe", errno) }
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
        descriptor = ends[0]
        writeDescriptor = ends[1]
    }

    deinit {
        close(descriptor)
        close(writeDescriptor)
    }

    /// Wakes the waiting thread; safe from any thread.
    package func signal() {
        var byte: UInt8 = 1
        // A full pipe wakes as well as a fuller one.
        _ = unsafe write(writeDescriptor, &byte, 1)
    }

    /// Takes what was signalled since the last call.
    package func take() -> Int {
        var bytes = [UInt8](repeating: 0, count: 64)
        var total = 0
        while true {
            let count = unsafe read(descriptor, &bytes, bytes.count)
            if count > 0 { total += count }
            if count < bytes.count { return total }
        }
    }
}

/// A system call that failed.
package struct SystemError: Error, Sendable, Hashable, CustomStringConvertible {
    package var call: String
    package var code: Int32

    package init(_ call: String, _ code: Int32) {
        self.call = call
        self.code = code
    }

    package var description: String {
        "\(call): \(ZMQError(rawValue: code))"
    }
}
