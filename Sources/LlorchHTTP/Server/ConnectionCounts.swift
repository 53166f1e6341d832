// How many connections there are, and how often none could be accepted. The page that shows it: Metrics.
// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Written by the handler of the listening socket, read by any thread.
package final class ConnectionCounts: Sendable {
    package struct Counts: Sendable, Hashable {
        package fileprivate(set) var open = 0
        /// Times at which the server ceased to accept connections, by why.
        package fileprivate(set) var pauses: [AcceptPace.Reason: Int] = [:]
    }

    private let counts = Mutex(Counts())

    package init() {}

    package var now: Counts { counts.withLock { $0 } }

    func opened() {
        counts.withLock { $0.open += 1 }
    }

    func closed() {
        counts.withLock { $0.open -= 1 }
    }

    func paused(_ reason: AcceptPace.Reason) {
        counts.withLock { $0.pauses[reason, default: 0] += 1 }
    }
}
