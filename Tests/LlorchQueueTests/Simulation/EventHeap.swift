// What will happen in virtual time, earliest first; at equal times in the order it was planned.
// SPDX-License-Identifier: Apache-2.0

/// A binary heap by time.
struct EventHeap<Content> {
    /// When something happens, and what; small, because the heap moves its slots often.
    private struct Slot {
        var time: Duration
        /// The number of what was planned, and its key in `contents`.
        var order: UInt64

        func isBefore(_ other: Slot) -> Bool {
            time == other.time ? order < other.order : time < other.time
        }
    }

    private var slots: [Slot] = []
    private var contents: [UInt64: Content] = [:]
    private var planned: UInt64 = 0

    mutating func plan(_ content: Content, at time: Duration) {
        slots.append(Slot(time: time, order: planned))
        contents[planned] = content
        planned += 1
        var child = slots.count - 1
        while child > 0, slots[child].isBefore(slots[(child - 1) / 2]) {
            slots.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func next() -> (time: Duration, content: Content)? {
        guard let first = slots.first, let content = contents.removeValue(forKey: first.order)
        else { return nil }
        let last = slots.removeLast()
        if !slots.isEmpty {
            slots[0] = last
            sink()
        }
        return (first.time, content)
    }

    private mutating func sink() {
        var parent = 0
        while 2 * parent + 1 < slots.count {
            var child = 2 * parent + 1
            if child + 1 < slots.count, slots[child + 1].isBefore(slots[child]) { child += 1 }
            guard slots[child].isBefore(slots[parent]) else { return }
            slots.swapAt(child, parent)
            parent = child
        }
    }
}
