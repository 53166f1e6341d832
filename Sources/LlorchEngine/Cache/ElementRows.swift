// Owned rows of bytes whose element type the cache decides when it is made. No arithmetic.
// SPDX-License-Identifier: Apache-2.0

/// `rows` rows of equal length, zeroed at birth, on huge pages where there are many.
struct ElementRows: ~Copyable {
    private let rows: Int
    /// Bytes of one row, a whole number of cache lines.
    private let stride: Int
    private let base: UnsafeMutableRawPointer

    init(rows: Int, byteCount: Int) {
        self.rows = rows
        stride = byteCount.roundedUp(toMultipleOf: 64)
        unsafe base = .allocateZeroedPages(byteCount: rows * stride)
    }

    deinit { unsafe base.freePages(byteCount: byteCount) }

    var byteCount: Int { rows * stride }

    @_lifetime(borrow self)
    func row(_ index: Int) -> RawSpan {
        precondition(index >= 0 && index < rows, "row \(index) of \(rows)")
        let span = unsafe RawSpan(_unsafeStart: base + index * stride, byteCount: stride)
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    /// One row's elements, to be written.
    @inline(__always)
    mutating func withRow<Number: BitwiseCopyable>(
        _ index: Int, as type: Number.Type, _ body: (UnsafeMutableBufferPointer<Number>) -> Void
    ) {
        precondition(index >= 0 && index < rows, "row \(index) of \(rows)")
        let count = stride / MemoryLayout<Number>.stride
        let row = unsafe base + index * stride
        unsafe body(
            UnsafeMutableBufferPointer(
                start: row.assumingMemoryBound(to: Number.self), count: count))
    }
}
