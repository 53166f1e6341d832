// How often a worker answers messages that are no messages: a sender of garbage gets no flood of events for it.
// SPDX-License-Identifier: Apache-2.0

/// Counts in each second of the clock.
struct RefusalRate {
    let perSecond: Int
    private var second: Int64 = 0
    private var count = 0

    init(perSecond: Int) {
        self.perSecond = perSecond
    }

    /// Whether one more may be answered now.
    mutating func admit(now: Duration) -> Bool {
        let current = now.components.seconds
        if current != second {
            second = current
            count = 0
        }
        count += 1
        return count <= perSecond
    }
}
