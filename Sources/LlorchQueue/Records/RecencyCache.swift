// A dictionary that drops its least recently used entries when it is too full, and entries that are too old.
// SPDX-License-Identifier: Apache-2.0

/// Values by job id, bounded in number, cost and age.
struct RecencyCache<Value> {
    private struct Entry {
        var value: Value
        var cost: Int
        var usedAt: Duration
        /// The stamp of the entry's newest slot; older slots of the entry are void.
        var stamp: UInt64
    }

    let maximumCount: Int
    let maximumCost: Int
    /// Time since the last use.
    let maximumAge: Duration

    private(set) var cost = 0
    private var entries: [String: Entry] = [:]
    /// Uses, oldest first; a slot counts only if its stamp is its entry's.
    private var slots: [(id: String, stamp: UInt64)] = []
    private var head = 0
    private var stamps: UInt64 = 0

    init(maximumCount: Int, maximumCost: Int = .max, maximumAge: Duration) {
        self.maximumCount = maximumCount
        self.maximumCost = maximumCost
        self.maximumAge = maximumAge
    }

    var count: Int { entries.count }

    /// The value, without counting as a use.
    func peek(_ id: String) -> Value? { entries[id]?.value }

    mutating func use(_ id: String, now: Duration) -> Value? {
        guard let entry = entries[id] else { return nil }
        stamp(id, now: now)
        return entry.value
    }

    mutating func insert(_ value: Value, for id: String, cost: Int = 1, now: Duration) {
        remove(id)
        entries[id] = Entry(value: value, cost: cost, usedAt: now, stamp: 0)
        self.cost += cost
        stamp(id, now: now)
        while entries.count > maximumCount || self.cost > maximumCost { removeOldest() }
    }

    @discardableResult
    mutating func remove(_ id: String) -> Value? {
        guard let entry = entries.removeValue(forKey: id) else { return nil }
        cost -= entry.cost
        return entry.value
    }

    mutating func expire(now: Duration) {
        while head < slots.count {
            let slot = slots[head]
            if let entry = entries[slot.id], entry.stamp == slot.stamp {
                if now - entry.usedAt <= maximumAge { return }
                remove(slot.id)
            }
            head += 1
        }
    }

    private mutating func removeOldest() {
        guard head < slots.count else { return }
        let slot = slots[head]
        head += 1
        if entries[slot.id]?.stamp == slot.stamp { remove(slot.id) }
    }

    private mutating func stamp(_ id: String, now: Duration) {
        stamps += 1
        entries[id]?.stamp = stamps
        entries[id]?.usedAt = now
        slots.append((id, stamps))
        if slots.count > 2 * entries.count + 64 {
            slots = slots[head...].filter { entries[$0.id]?.stamp == $0.stamp }
            head = 0
        }
    }
}
