// How a process that has nothing to drain ends by SIGINT, SIGTERM and SIGHUP. One that drains: ShutdownSignal.swift.
// SPDX-License-Identifier: Apache-2.0

import CLlorchSystem
import Glibc

package enum Termination {
    /// From now on the three signals end the process at once: the line that is redrawn is cleared first, and as process
    /// 1 of a container, which the signals would spare, the status is 128 and the signal's number.
    ///
    /// SIGHUP stays ignored where it is (nohup). A closed pipe and a file at its limit are errors of the write, not the
    /// signals SIGPIPE and SIGXFSZ.
    package static func endBySignals() throws(SystemError) {
        for number in [SIGPIPE, SIGXFSZ] { signal(number, SIG_IGN) }
        _ = try SystemCall.check("sigaction") { llorch_end_by_signals() }
    }

    /// Lets no signal end the process inside `body`, so that what belongs together is done or not done.
    package static func postponed<Result, Failure: Error>(
        _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        llorch_hold_signals(true)
        defer { llorch_hold_signals(false) }
        return try body()
    }
}
