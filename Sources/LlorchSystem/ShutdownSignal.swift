// Requests that the process leave, from SIGTERM, SIGINT, SIGHUP or a test: one request to drain, two to stop at once.
// Commands that have nothing to drain: Termination.swift.
// SPDX-License-Identifier: Apache-2.0

import CLlorchSystem

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

    /// Blocks until a request comes, and takes it.
    package func wait() throws(SystemError) {
        while take() == 0 { try wakeUp.wait() }
    }

    /// A signal that SIGTERM, SIGINT and SIGHUP raise from now on, for the life of the process.
    ///
    /// SIGHUP stays ignored where it is ignored at the start (nohup).
    ///
    /// - Parameter requests: signals that raise it; the one after these ends the process, whatever it does.
    /// - Throws: where no pipe is left, or the system refuses a handler.
    /// - Returns: the signal, which lives as long as the process.
    package static func handlingTermination(
        requests: Int = 2
    ) throws(SystemError) -> ShutdownSignal {
        let signal = try ShutdownSignal()
        // The handler may write at any later time, so the pipe is never closed.
        _ = unsafe Unmanaged.passRetained(signal)
        let descriptor = signal.wakeUp.writeDescriptor
        _ = try SystemCall.check("sigaction") {
            llorch_report_signals(descriptor, Int32(clamping: requests))
        }
        return signal
    }
}
