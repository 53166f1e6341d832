// Rows of activations as `Linear` multiplies them: blocks of 32 int8 with a scale where the weights are q8 or q4,
// quantized once per row and call. Holds no memory for precisions whose products take floats.
// SPDX-License-Identifier: Apache-2.0

import CLlorchKernels

/// Scratch for the quantized rows of one product at a time.
@safe package struct QuantizedRows: ~Copyable {
    private let rows: Int
    private let columns: Int
    /// Bytes from row to row.
    private let stride: Int
    private let base: UnsafeMutableRawPointer
    /// The arena that the memory belongs to; nil where these rows own their memory.
    private let arena: PageArena?

    /// Room for `rows` rows of up to `columns` values, for weights of one precision; in an arena that has room for
    /// them, or in memory of its own.
    package init(
        rows: Int, columns: Int, precision: Precision, kernels: Kernels, arena: PageArena? = nil
    ) {
        self.rows = rows
        self.columns = columns
        self.arena = arena
        stride = Self.stride(columns: columns, precision: precision, kernels: kernels)
        if let arena {
            unsafe base = arena.take(byteCount: rows * stride)
        } else {
            unsafe base = .ownZeroedPages(byteCount: rows * stride)
        }
    }

    deinit {
        if arena == nil { unsafe base.freePages(byteCount: byteCount) }
    }

    private static func stride(columns: Int, precision: Precision, kernels: Kernels) -> Int {
        let unit = Int(LLK_UNIT)
        let bytes = unsafe kernels.format(precision).pointee.row_unit_bytes
        return columns.roundedUp(toMultipleOf: unit) / unit * bytes
    }

    /// Bytes that rows of these sizes will take.
    package static func byteCount(
        rows: Int, columns: Int, precision: Precision, kernels: Kernels
    ) -> Int {
        rows * stride(columns: columns, precision: precision, kernels: kernels)
    }

    package var byteCount: Int { rows * stride }

    /// Where a product finds rows of x, and the bytes from row to row: in x itself, or quantized here.
    mutating func take(
        _ x: borrowing Matrix, rows: Range<Int>, for format: UnsafePointer<llk_format>
    ) -> (UnsafeRawPointer, stride: Int) {
        guard let quantize = unsafe format.pointee.quantize else {
            return unsafe (
                UnsafeRawPointer(x.base + rows.lowerBound * x.stride),
                stride: x.stride * MemoryLayout<Float>.size
            )
        }
        precondition(
            rows.count <= self.rows && x.columns <= columns && stride > 0,
            "\(rows.count) rows of \(x.columns), room for \(self.rows) of \(columns)")
        for (index, row) in rows.enumerated() {
            unsafe quantize(x.base + row * x.stride, x.columns, base + index * stride)
        }
        return unsafe (UnsafeRawPointer(base), stride: stride)
    }
}
