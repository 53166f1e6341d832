// One block of memory for all weights of a model, handed out front to back while it is loaded. Not a general
// allocator: nothing is given back before the last matrix is gone.
// SPDX-License-Identifier: Apache-2.0

/// Memory on huge pages, which matrices of a few hundred kilobytes could not ask for on their own, and of which
/// each would waste half a page at its end.
package final class WeightArena: @unchecked Sendable {
    private let base: UnsafeMutableRawPointer
    private let byteCount: Int
    /// Moves while one thread loads, before anyone else sees the arena.
    private var used = 0

    /// Where matrices begin: on cache lines.
    private static let alignment = 64

    /// - Parameter sizes: what will be taken, in bytes, in any order.
    package init(sizes: [Int]) {
        byteCount = sizes.reduce(0) { $0 + $1.roundedUp(toMultipleOf: Self.alignment) }
        unsafe base = .allocateZeroedPages(byteCount: byteCount)
    }

    deinit { unsafe base.freePages(byteCount: byteCount) }

    /// Zeroed bytes that live as long as the arena.
    ///
    /// - Precondition: the sum of `sizes` holds it.
    func take(byteCount count: Int) -> UnsafeMutableRawPointer {
        let end = used + count.roundedUp(toMultipleOf: Self.alignment)
        precondition(count > 0 && end <= byteCount, "\(count) bytes behind \(used) of \(byteCount)")
        defer { used = end }
        return unsafe base + used
    }
}
