// Weights in panels of output columns, cut into units of 32 inputs: the order in which the kernels read them, so
// that a decode step reads memory in one forward stream. The width of a panel depends on the instruction-set level;
// results do not depend on it.
// SPDX-License-Identifier: Apache-2.0

import CLlorchKernels

/// An immutable weight matrix of `inputSize` (K) × `outputSize` (N), shared by reference.
package struct PackedMatrix: Sendable {
    package let inputSize: Int
    package let outputSize: Int
    package let precision: Precision
    let kernels: Kernels
    private let storage: Storage

    /// The panels, in an arena; written by the builder only, before anyone else sees them.
    @safe private final class Storage: @unchecked Sendable {
        let base: UnsafeMutableRawPointer
        private let arena: PageArena

        init(_ arena: PageArena, byteCount: Int) {
            self.arena = arena
            unsafe base = arena.take(byteCount: byteCount)
        }
    }

    private init(
        inputSize: Int, outputSize: Int, precision: Precision, kernels: Kernels, storage: Storage
    ) {
        self.inputSize = inputSize
        self.outputSize = outputSize
        self.precision = precision
        self.kernels = kernels
        self.storage = storage
    }

    var base: UnsafeRawPointer { unsafe UnsafeRawPointer(storage.base) }

    private var layout: Layout {
        unsafe Layout(inputSize: inputSize, outputSize: outputSize, kernels.format(precision))
    }

    /// Bytes of the panels, padding included.
    package var byteCount: Int { layout.byteCount }

    /// Bytes that a matrix of these sizes will take.
    package static func byteCount(
        inputSize: Int, outputSize: Int, precision: Precision, kernels: Kernels
    ) -> Int {
        unsafe Layout(
            inputSize: inputSize, outputSize: outputSize, kernels.format(precision)
        ).byteCount
    }

    /// Reads one output column back, as the embedding lookup does where the head is tied.
    ///
    /// At `q8` and `q4` a value is the scale times the integer, at `bf16` the rounded weight.
    package func copyColumn(_ column: Int, into row: inout MutableSpan<Float>) {
        precondition(
            column >= 0 && column < outputSize && row.count == inputSize,
            "column \(column) of \(outputSize) into \(row.count) of \(inputSize) values")
        let format = unsafe kernels.format(precision)
        let layout = layout
        unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: Layout.unit) { values in
            guard let values = values.baseAddress else { return }
            for k in stride(from: 0, to: inputSize, by: Layout.unit) {
                let unit = unsafe storage.base + layout.offset(input: k, output: column)
                unsafe format.pointee.unpack(unit, column % layout.columns, values)
                for i in 0..<min(Layout.unit, inputSize - k) { unsafe row[k + i] = values[i] }
            }
        }
    }

    /// Where units lie.
    private struct Layout {
        /// Inputs of one unit.
        static let unit = Int(LLK_UNIT)
        /// Output columns of one panel.
        let columns: Int
        let unitBytes: Int
        let panelBytes: Int
        let byteCount: Int

        init(inputSize: Int, outputSize: Int, _ format: UnsafePointer<llk_format>) {
            columns = unsafe format.pointee.columns
            unitBytes = unsafe format.pointee.unit_bytes
            panelBytes = inputSize.roundedUp(toMultipleOf: Self.unit) / Self.unit * unitBytes
            byteCount = outputSize.roundedUp(toMultipleOf: columns) / columns * panelBytes
        }

        func offset(input: Int, output: Int) -> Int {
            output / columns * panelBytes + input / Self.unit * unitBytes
        }
    }

    // MARK: - Packing

    /// Packs slices in any order; weights that are never set stay zero.
    package struct Builder: ~Copyable {
        /// A slice of input rows, except the last, holds a whole number of units of 32 inputs.
        ///
        /// A slice of output rows, except the last, holds a whole number of panels, whose width
        /// divides 64 at every level.
        package static let inputGranule = 32
        package static let outputGranule = 64

        private let inputSize: Int
        private let outputSize: Int
        private let precision: Precision
        private let kernels: Kernels
        private let layout: Layout
        private let storage: Storage

        /// A matrix whose panels lie in an arena that has room for them.
        package init(
            inputSize: Int, outputSize: Int, precision: Precision, kernels: Kernels,
            arena: PageArena
        ) {
            precondition(
                inputSize > 0 && outputSize > 0, "a weight of \(inputSize) × \(outputSize)")
            self.inputSize = inputSize
            self.outputSize = outputSize
            self.precision = precision
            self.kernels = kernels
            layout = unsafe Layout(
                inputSize: inputSize, outputSize: outputSize, kernels.format(precision))
            storage = Storage(arena, byteCount: layout.byteCount)
        }

        /// A matrix in memory of its own.
        package init(
            inputSize: Int, outputSize: Int, precision: Precision = .f32, kernels: Kernels
        ) {
            let byteCount = PackedMatrix.byteCount(
                inputSize: inputSize, outputSize: outputSize, precision: precision,
                kernels: kernels)
            self.init(
                inputSize: inputSize, outputSize: outputSize, precision: precision,
                kernels: kernels, arena: .own(byteCount: byteCount))
        }

        /// `values` are rows [first, …) of [K, N], as Conv1D stores them.
        package mutating func setInputRows(from first: Int, _ values: Span<Float>) {
            let rows = values.count / outputSize
            checkSlice(
                first, rows, of: inputSize, width: outputSize, count: values.count,
                granule: Self.inputGranule)
            pack(
                values, inputs: first..<first + rows, outputs: 0..<outputSize,
                inputStride: outputSize, outputStride: 1)
        }

        /// `values` are rows [first, …) of [N, K], as a token table is stored.
        package mutating func setOutputRows(from first: Int, _ values: Span<Float>) {
            let rows = values.count / inputSize
            checkSlice(
                first, rows, of: outputSize, width: inputSize, count: values.count,
                granule: Self.outputGranule)
            pack(
                values, inputs: 0..<inputSize, outputs: first..<first + rows,
                inputStride: 1, outputStride: inputSize)
        }

        /// As `setOutputRows(from:_:)`, with the rows as a file stores them in blocks along K.
        package mutating func setOutputRows(
            from first: Int, stored: StoredFormat, _ bytes: RawSpan
        ) {
            guard let blocks = stored.blocks else {
                preconditionFailure("rows of \(stored.name), expected blocks")
            }
            let rowBytes = stored.byteCount(ofValues: inputSize)
            let rows = bytes.byteCount / rowBytes
            checkSlice(
                first, rows, of: outputSize, width: rowBytes, count: bytes.byteCount,
                granule: Self.outputGranule)
            let format = unsafe kernels.format(precision)
            unsafe bytes.withUnsafeBytes { bytes in
                guard let source = bytes.baseAddress else { return }
                for n in stride(from: 0, to: rows, by: layout.columns) {
                    for k in stride(from: 0, to: inputSize, by: Layout.unit) {
                        unsafe format.pointee.pack_stored(
                            blocks, source + n * rowBytes, rowBytes, k,
                            min(layout.columns, rows - n),
                            storage.base + layout.offset(input: k, output: first + n))
                    }
                }
            }
        }

        private func checkSlice(
            _ first: Int, _ rows: Int, of total: Int, width: Int, count: Int, granule: Int
        ) {
            precondition(
                count == rows * width && first >= 0 && first + rows <= total,
                "rows \(first)… of \(total), \(count) values of \(width) a row")
            precondition(
                first % granule == 0
                    && (rows % granule == 0 || first + rows == total),
                "\(rows) rows from \(first), slices are of \(granule) rows")
        }

        private func pack(
            _ values: Span<Float>, inputs: Range<Int>, outputs: Range<Int>, inputStride: Int,
            outputStride: Int
        ) {
            let format = unsafe kernels.format(precision)
            unsafe values.withUnsafeBufferPointer { values in
                guard let source = values.baseAddress else { return }
                for n in stride(
                    from: outputs.lowerBound, to: outputs.upperBound, by: layout.columns)
                {
                    for k in stride(from: inputs.lowerBound, to: inputs.upperBound, by: Layout.unit)
                    {
                        let first =
                            (k - inputs.lowerBound) * inputStride
                            + (n - outputs.lowerBound) * outputStride
                        unsafe format.pointee.pack(
                            source + first, inputStride, outputStride,
                            min(Layout.unit, inputs.upperBound - k),
                            min(layout.columns, outputs.upperBound - n),
                            storage.base + layout.offset(input: k, output: n))
                    }
                }
            }
        }

        package consuming func finish() -> PackedMatrix {
            PackedMatrix(
                inputSize: inputSize, outputSize: outputSize, precision: precision,
                kernels: kernels, storage: storage)
        }
    }
}
