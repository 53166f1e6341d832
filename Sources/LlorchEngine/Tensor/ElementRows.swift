// Owned rows of bytes whose element type the cache decides when it is made. No arithmetic.
// SPDX-License-Identifier: Apache-2.0

/// How a cache holds keys and values.
package enum CacheElement: Sendable, Hashable {
    case f32
    /// IEEE halves: half the bytes to read, within 2⁻¹¹ of the value.
    case f16

    package var byteCount: Int { self == .f32 ? 4 : 2 }
}

/// `rows` rows of equal length, zeroed at birth, on huge pages where there are many.
@safe struct ElementRows: ~Copyable {
    private let rows: Int
    /// Bytes of one row, a whole number of cache lines.
    private let stride: Int
    private let base: UnsafeMutableRawPointer

    init(rows: Int, byteCount: Int) throws(MemoryShortage) {
        self.rows = rows
        stride = byteCount.roundedUp(toMultipleOf: 64)
        unsafe base = try .allocateZeroedPages(byteCount: rows * stride)
    }

    deinit { unsafe base.freePages(byteCount: byteCount) }

    var byteCount: Int { rows * stride }

    @_lifetime(borrow self)
    func row(_ index: Int) -> RawSpan {
        precondition(index >= 0 && index < rows, "row \(index) of \(rows)")
        let span = unsafe RawSpan(_unsafeStart: base + index * stride, byteCount: stride)
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    /// Writes values into one row, from element `first` on, `step` elements apart.
    @inline(__always)
    mutating func set<Number: BitwiseCopyable>(
        _ values: Span<Number>, row: Int, from first: Int, step: Int
    ) {
        let count = stride / MemoryLayout<Number>.stride
        precondition(
            row >= 0 && row < rows && first >= 0 && step > 0
                && (values.isEmpty || first + (values.count - 1) * step < count),
            "\(values.count) values from \(first), \(step) apart, in row \(row) of \(rows) of \(count)"
        )
        let elements = unsafe (base + row * stride).assumingMemoryBound(to: Number.self)
        for index in values.indices { unsafe elements[first + index * step] = values[index] }
    }

    /// One element of a row as a float; for tests and inspection.
    func float(row: Int, at index: Int, _ element: CacheElement) -> Float {
        let offset = index * element.byteCount
        let row = self.row(row)
        return switch element {
        case .f32: unsafe row.unsafeLoad(fromByteOffset: offset, as: Float.self)
        case .f16: Float(unsafe row.unsafeLoad(fromByteOffset: offset, as: Float16.self))
        }
    }
}
