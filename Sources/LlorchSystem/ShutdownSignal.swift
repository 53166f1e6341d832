// Requests that the process leave, from SIGTERM, SIGINT or a test: one request to drain, two to stop at once.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// Counts requests to leave and wakes the loop's wait for sockets.
package final class ShutdownSignal: Sendable {
    private let wakeUp: WakeUp

    /// A signal that only `request()` raises.
    package init() throws(SystemError) {
        wakeUp = try WakeUp()
    }

    /// Readable while requests wait.
    package var descriptor: Int32 { wakeUp.descriptor }

    /// Asks the worker to leave; safe from any thread.
    package func request() {
        wakeUp.signal()
    }

    /// Takes the requests since the last call, and returns their number.
    package func take() -> Int {
        wakeUp.take()
    }

    /// A signal that SIGTERM and SIGINT raise from now on, for the life of the process.
    package static func handlingTermination() throws(SystemError) -> ShutdownSignal {
        let signal = try ShutdownSignal()
        // The handler may write at any later time, so the pipe is never closed.
        _ = unsafe Unmanaged.passRetained(signal)
        handlerPipe.store(signal.wakeUp.writeDescriptor, ordering: .sequentiallyConsistent)
        for number in [SIGTERM, SIGINT] {
            var action = sigaction()
            unsafe action.__sigaction_handler.sa_handler = { _ in
                let saved = errno
                var byte: UInt8 = 1
                _ = unsafe write(handlerPipe.load(ordering: .relaxed), &byte, 1)
                errno = saved
            }
            action.sa_flags = SA_RESTART
            guard unsafe sigaction(number, &action, nil) == 0 else {
                throw SystemError("sigaction", errno)
            }
        }
        return signal
    }
}

/// Where the signal handler writes; a handler can capture nothing.
private let handlerPipe = Atomic<Int32>(-1)
