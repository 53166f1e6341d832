// Owned row-major storage of rank two, zeroed at birth. Not an array library: no views with other strides,
// no arithmetic. Rows are padded so that kernels may write whole panels.
// SPDX-License-Identifier: Apache-2.0

import CLlorchKernels
import Glibc

/// A matrix of `rows` × `columns` floats; each row starts on a 64-byte boundary and has `stride` floats.
package struct Matrix: ~Copyable {
    package let rows: Int
    package let columns: Int
    /// Floats from row to row: at least `columns` rounded up to a whole number of the widest panels; what lies
    /// behind `columns` is scratch.
    package let stride: Int
    let base: UnsafeMutablePointer<Float>

    /// - Precondition: sizes are positive and fit in memory; they come from a checked configuration.
    package init(rows: Int, columns: Int) {
        precondition(rows >= 0 && columns >= 0, "a matrix has \(rows) rows, \(columns) columns")
        self.rows = rows
        self.columns = columns
        // Rows a whole number of 512 bytes apart would share few sets of the first-level cache.
        let granule = Int(LLK_ROW_GRANULE)
        let padded = columns.roundedUp(toMultipleOf: granule)
        stride = padded % (2 * granule) == 0 ? padded + granule / 2 : padded
        let byteCount = rows * stride * MemoryLayout<Float>.size
        unsafe base = UnsafeMutableRawPointer.allocateZeroedPages(byteCount: byteCount)
            .bindMemory(to: Float.self, capacity: max(rows * stride, 1))
    }

    deinit { unsafe UnsafeMutableRawPointer(base).freePages(byteCount: byteCount) }

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

extension UnsafeMutableRawPointer {
    private static var hugePage: Int { 2 << 20 }

    /// Zeroed bytes on a 2 MiB boundary where the block is large, with huge pages asked for: a decode
    /// step reads every weight once, and 4 KiB pages cost a tenth of the bandwidth. Large blocks come from
    /// the system, whose pages are zero when first touched.
    ///
    /// Freed with `freePages`. Ends the process when memory is exhausted, as Swift's own allocations do.
    static func allocateZeroedPages(byteCount: Int) -> UnsafeMutableRawPointer {
        guard byteCount >= hugePage else {
            let memory = unsafe UnsafeMutableRawPointer.allocate(
                byteCount: max(byteCount, 1), alignment: 64)
            unsafe memset(memory, 0, byteCount)
            return unsafe memory
        }
        // One huge page more than needed holds a boundary; what lies before and behind is given back.
        let size = byteCount.roundedUp(toMultipleOf: hugePage)
        let mapped = unsafe mmap(
            nil, size + hugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let mapped = unsafe mapped, unsafe mapped != MAP_FAILED else {
            preconditionFailure("out of memory: \(size) bytes")
        }
        let before = (hugePage - Int(bitPattern: mapped) % hugePage) % hugePage
        let memory = unsafe mapped + before
        if before > 0 { unsafe munmap(mapped, before) }
        if before < hugePage { unsafe munmap(memory + size, hugePage - before) }
        unsafe madvise(memory, size, MADV_HUGEPAGE)
        return unsafe memory
    }

    /// Frees what `allocateZeroedPages` gave for as many bytes.
    func freePages(byteCount: Int) {
        if byteCount >= Self.hugePage {
            unsafe munmap(self, byteCount.roundedUp(toMultipleOf: Self.hugePage))
        } else {
            unsafe deallocate()
        }
    }
}
