// One block of memory for things that live equally long: all weights of a model, or all buffers of a pass. Parts are
// handed out front to back while these are made. Not a general allocator: the block is freed as a whole, after the last
// of its users is gone.
// SPDX-License-Identifier: Apache-2.0

/// Memory on huge pages for many matrices: a matrix of a few hundred kilobytes is smaller than a huge page, and one
/// allocation each would waste half a page per matrix.
@safe package final class PageArena: @unchecked Sendable {
    private let base: UnsafeMutableRawPointer
    private let byteCount: Int
    /// Bytes handed out.
    ///
    /// Changes only while one thread makes the matrices, before another thread sees them.
    private var used = 0

    /// Where matrices begin: on cache lines.
    private static let alignment = 64

    /// - Parameter sizes: what will be taken, in bytes, in any order.
    /// - Throws: where the system has no block for all of them together.
    package init(sizes: [Int]) throws(MemoryShortage) {
        byteCount = sizes.reduce(0) { $0 + $1.roundedUp(toMultipleOf: Self.alignment) }
        unsafe base = try .allocateZeroedPages(byteCount: byteCount)
    }

    deinit { unsafe base.freePages(byteCount: byteCount) }

    /// For a matrix that is no part of a model, as tests have them; ends the process when memory is exhausted.
    static func own(byteCount: Int) -> PageArena {
        do {
            return try PageArena(sizes: [byteCount])
        } catch {
            preconditionFailure("\(error)")
        }
    }

    /// Zeroed bytes that live as long as the arena.
    ///
    /// - Precondition: all parts together have at most the sum of `sizes`.
    func take(byteCount count: Int) -> UnsafeMutableRawPointer {
        let end = used + count.roundedUp(toMultipleOf: Self.alignment)
        precondition(
            count >= 0 && end <= byteCount, "\(count) bytes behind \(used) of \(byteCount)")
        defer { used = end }
        return unsafe base + used
    }
}
