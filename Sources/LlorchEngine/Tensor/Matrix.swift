// Owned row-major storage of rank two, zeroed at birth. Not an array library: no views with other strides,
// no arithmetic. Rows are padded so that kernels may write whole panels.
// SPDX-License-Identifier: Apache-2.0

import CLlorchKernels
import Glibc

/// A matrix of `rows` × `columns` floats; each row starts on a 64-byte boundary and has `stride` floats.
@safe package struct Matrix: ~Copyable {
    package let rows: Int
    package let columns: Int
    /// Floats from row to row: at least `columns` rounded up to a whole number of the widest panels; what lies
    /// behind `columns` is scratch.
    package let stride: Int
    let base: UnsafeMutablePointer<Float>

    /// The arena that the memory belongs to; nil where this matrix owns its memory.
    private let arena: PageArena?

    /// - Precondition: sizes are not negative; they come from a checked configuration.
    package init(rows: Int, columns: Int) {
        self.init(rows: rows, columns: columns, arena: nil)
    }

    /// - Precondition: sizes are not negative, and the arena has room for `byteCount(rows:columns:)`.
    init(rows: Int, columns: Int, arena: PageArena?) {
        precondition(rows >= 0 && columns >= 0, "a matrix has \(rows) rows, \(columns) columns")
        self.rows = rows
        self.columns = columns
        self.arena = arena
        stride = Self.stride(columns: columns)
        let byteCount = Self.byteCount(rows: rows, columns: columns)
        let memory: UnsafeMutableRawPointer
        if let arena {
            unsafe memory = arena.take(byteCount: byteCount)
        } else {
            unsafe memory = .ownZeroedPages(byteCount: byteCount)
        }
        unsafe base = memory.bindMemory(to: Float.self, capacity: max(rows * stride, 1))
    }

    deinit {
        if arena == nil { unsafe UnsafeMutableRawPointer(base).freePages(byteCount: byteCount) }
    }

    /// Rows a whole number of 512 bytes apart would share few sets of the first-level cache.
    private static func stride(columns: Int) -> Int {
        let granule = Int(LLK_ROW_GRANULE)
        let padded = columns.roundedUp(toMultipleOf: granule)
        return padded % (2 * granule) == 0 ? padded + granule / 2 : padded
    }

    /// Bytes that a matrix of these sizes will take.
    static func byteCount(rows: Int, columns: Int) -> Int {
        rows * stride(columns: columns) * MemoryLayout<Float>.size
    }

    /// Bytes this matrix holds in memory.
    package var byteCount: Int { rows * stride * MemoryLayout<Float>.size }

    /// The values of one row, `columns` long.
    @_lifetime(borrow self)
    package func row(_ index: Int) -> Span<Float> {
        precondition(index >= 0 && index < rows, "row \(index) of \(rows)")
        let span = unsafe Span(_unsafeStart: base + index * stride, count: columns)
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    /// The values of one row, to be written; the first `width` of them where a width is given.
    @_lifetime(&self)
    package mutating func mutableRow(_ index: Int, width: Int? = nil) -> MutableSpan<Float> {
        let width = width ?? columns
        precondition(
            index >= 0 && index < rows && width >= 0 && width <= columns,
            "\(width) columns of row \(index) of \(rows) × \(columns)")
        let span = unsafe MutableSpan(_unsafeStart: base + index * stride, count: width)
        return unsafe _overrideLifetime(span, mutating: &self)
    }
}

extension Int {
    package func roundedUp(toMultipleOf granule: Int) -> Int {
        (self + granule - 1) / granule * granule
    }
}

/// Bytes of a huge page on x86-64, and on arm64 with pages of 4 KiB.
private let hugePage = 2 << 20

extension UnsafeMutableRawPointer {
    /// Zeroed bytes, on a 2 MiB boundary and with huge pages asked for where the block is large.
    ///
    /// A decode step reads every weight once, and 4 KiB pages cost a tenth of the bandwidth. Large blocks come
    /// from the system, whose pages are zero when first touched. Freed with `freePages`.
    static func allocateZeroedPages(
        byteCount: Int
    ) throws(MemoryShortage) -> UnsafeMutableRawPointer {
        guard byteCount >= hugePage else {
            var memory: UnsafeMutableRawPointer?
            guard unsafe posix_memalign(&memory, 64, max(byteCount, 1)) == 0,
                let memory = unsafe memory
            else { throw .ofPages(byteCount) }
            unsafe memset(memory, 0, byteCount)
            return unsafe memory
        }
        // One huge page more than needed holds a 2 MiB boundary; the memory before and behind the block is given back.
        let size = byteCount.roundedUp(toMultipleOf: hugePage)
        let mapped = unsafe mmap(
            nil, size + hugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let mapped = unsafe mapped, unsafe mapped != MAP_FAILED else {
            throw .ofPages(size + hugePage)
        }
        let before = (hugePage - Int(bitPattern: mapped) % hugePage) % hugePage
        let memory = unsafe mapped + before
        if before > 0 { unsafe munmap(mapped, before) }
        if before < hugePage { unsafe munmap(memory + size, hugePage - before) }
        unsafe madvise(memory, size, MADV_HUGEPAGE)
        return unsafe memory
    }

    /// As `allocateZeroedPages`, for a matrix that is no part of a model, as tests have them; ends the process when
    /// memory is exhausted, as Swift's own allocations do.
    static func ownZeroedPages(byteCount: Int) -> UnsafeMutableRawPointer {
        do {
            return unsafe try allocateZeroedPages(byteCount: byteCount)
        } catch {
            preconditionFailure("\(error)")
        }
    }

    /// Frees what `allocateZeroedPages` gave for as many bytes.
    func freePages(byteCount: Int) {
        if byteCount >= hugePage {
            unsafe munmap(self, byteCount.roundedUp(toMultipleOf: hugePage))
        } else {
            unsafe free(self)
        }
    }
}

extension MemoryShortage {
    /// Finds out what is left, to 1 MiB, by asking for less and less.
    fileprivate static func ofPages(_ needed: Int) -> MemoryShortage {
        let unit = 1 << 20
        var (held, refused) = (0, needed / unit + 1)
        while refused - held > 1 {
            let middle = held + (refused - held) / 2
            let mapped = unsafe mmap(
                nil, middle * unit, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            if let mapped = unsafe mapped, unsafe mapped != MAP_FAILED {
                unsafe munmap(mapped, middle * unit)
                held = middle
            } else {
                refused = middle
            }
        }
        return MemoryShortage(needed: needed, left: held * unit)
    }
}
