// The order in which waiting jobs run. The jobs themselves: LiveJobs.swift.
// SPDX-License-Identifier: Apache-2.0

/// Ids of jobs in the order of their receipt; a job that left the queue otherwise leaves a void slot, which is
/// passed over.
struct JobFIFO {
    private var slots: [(id: String, ordinal: UInt64)] = []
    private var head = 0
    /// The ordinal of the next job appended.
    private(set) var next: UInt64 = 0

    mutating func append(_ id: String) {
        slots.append((id, next))
        next += 1
    }

    mutating func popFirst() -> (id: String, ordinal: UInt64)? {
        guard head < slots.count else { return nil }
        head += 1
        defer { dropTaken() }
        return slots[head - 1]
    }

    private mutating func dropTaken() {
        guard head > 1_024, head > slots.count / 2 else { return }
        slots.removeFirst(head)
        head = 0
    }

    /// Drops void slots once they are many.
    mutating func compact(_ isLive: (String, UInt64) -> Bool, live: Int) {
        guard slots.count - head > 2 * live + 64 else { return }
        slots = slots[head...].filter { isLive($0.id, $0.ordinal) }
        head = 0
    }

    /// Jobs before this one: exact while none was cancelled, else at most this.
    func distance(to ordinal: UInt64, live: Int) -> Int {
        guard head < slots.count, ordinal >= slots[head].ordinal else { return 0 }
        return min(Int(clamping: ordinal - slots[head].ordinal), max(0, live - 1))
    }
}
