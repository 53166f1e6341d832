// Weights in panels of output columns, [N / P][K][P]: the order in which the kernels read them, so that a
// decode step is one forward stream over memory. P is the level's tile width; results do not depend on it.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// An immutable weight matrix of `inputSize` (K) × `outputSize` (N), shared by reference.
package struct PackedMatrix: Sendable {
    package let inputSize: Int
    package let outputSize: Int
    /// P: output columns side by side.
    package let panel: Int
    private let storage: Storage

    /// Owns the panels; written by the builder only, before anyone else sees it.
    private final class Storage: @unchecked Sendable {
        let base: UnsafeMutablePointer<Float>

        init(count: Int) { unsafe base = .allocateZeroedPages(count: count) }

        deinit { unsafe free(base) }
    }

    private init(inputSize: Int, outputSize: Int, panel: Int, storage: Storage) {
        self.inputSize = inputSize
        self.outputSize = outputSize
        self.panel = panel
        self.storage = storage
    }

    var base: UnsafePointer<Float> { unsafe UnsafePointer(storage.base) }

    /// Bytes of the panels, padding included.
    package var byteCount: Int {
        outputSize.roundedUp(toMultipleOf: panel) * inputSize * MemoryLayout<Float>.size
    }

    /// Reads one output column back, as the embedding lookup does where the head is tied.
    package func copyColumn(_ column: Int, into row: inout MutableSpan<Float>) {
        precondition(
            column >= 0 && column < outputSize && row.count == inputSize,
            "column \(column) of \(outputSize) into \(row.count) of \(inputSize) values")
        unsafe row.withUnsafeMutableBufferPointer { row in
            let lane = unsafe storage.base + column / panel * panel * inputSize + column % panel
            for k in 0..<inputSize { unsafe row[k] = lane[k * panel] }
        }
    }

    // MARK: - Packing

    /// Takes slices in whatever order a file has them; padding columns stay zero.
    package struct Builder: ~Copyable {
        private let inputSize: Int
        private let outputSize: Int
        private let panel: Int
        private let storage: Storage

        package init(inputSize: Int, outputSize: Int, kernels: Kernels) {
            precondition(
                inputSize > 0 && outputSize > 0, "a weight of \(inputSize) × \(outputSize)")
            self.inputSize = inputSize
            self.outputSize = outputSize
            panel = kernels.panel
            storage = Storage(count: inputSize * outputSize.roundedUp(toMultipleOf: panel))
        }

        /// `values` are rows [first, …) of [K, N], as Conv1D stores them.
        package mutating func setInputRows(from first: Int, _ values: Span<Float>) {
            let rows = values.count / outputSize
            precondition(
                values.count == rows * outputSize && first >= 0 && first + rows <= inputSize,
                "rows \(first)… of \(inputSize), \(values.count) values of \(outputSize) a row")
            unsafe values.withUnsafeBufferPointer { values in
                guard let source = values.baseAddress else { return }
                for column in stride(from: 0, to: outputSize, by: panel) {
                    let width = min(panel, outputSize - column)
                    let target = unsafe storage.base + column * inputSize + first * panel
                    for row in 0..<rows {
                        unsafe (target + row * panel).update(
                            from: source + row * outputSize + column, count: width)
                    }
                }
            }
        }

        /// `values` are rows [first, …) of [N, K], as a token table is stored.
        package mutating func setOutputRows(from first: Int, _ values: Span<Float>) {
            let rows = values.count / inputSize
            precondition(
                values.count == rows * inputSize && first >= 0 && first + rows <= outputSize,
                "columns \(first)… of \(outputSize), \(values.count) values of \(inputSize) each")
            unsafe values.withUnsafeBufferPointer { values in
                guard let source = values.baseAddress else { return }
                for row in 0..<rows {
                    let column = first + row
                    let lane = column / panel * panel * inputSize + column % panel
                    let target = unsafe storage.base + lane
                    for k in 0..<inputSize {
                        unsafe target[k * panel] = source[row * inputSize + k]
                    }
                }
            }
        }

        package consuming func finish() -> PackedMatrix {
            PackedMatrix(
                inputSize: inputSize, outputSize: outputSize, panel: panel, storage: storage)
        }
    }
}
