// The products of a model: y = x·W + b for some rows, and the narrow products of attention. The kernels fix the
// order of additions; ReferenceKernels.swift computes the same products readably.
// SPDX-License-Identifier: Apache-2.0

import CLlorchKernels

/// One affine map with packed weights.
package struct Linear: Sendable {
    package let weight: PackedMatrix  // [C_in, C_out]
    /// Padded to a whole number of the widest panels; empty for a map without bias.
    private let bias: [Float]
    let kernels: Kernels

    /// - Precondition: `bias` is empty or has one value an output.
    package init(weight: PackedMatrix, bias: [Float], kernels: Kernels) {
        precondition(
            bias.isEmpty || bias.count == weight.outputSize,
            "\(bias.count) biases for \(weight.outputSize) outputs")
        precondition(
            weight.kernels.instructionSet == kernels.instructionSet,
            "weights packed for \(weight.kernels.instructionSet), kernels \(kernels.instructionSet)"
        )
        self.weight = weight
        let granule = Int(LLK_ROW_GRANULE)
        let padding = bias.isEmpty ? 0 : bias.count.roundedUp(toMultipleOf: granule) - bias.count
        self.bias = bias + [Float](repeating: 0, count: padding)
        self.kernels = kernels
    }

    /// From plain arrays: `weights` are [inputSize, outputSize], row by row.
    package init(
        inputSize: Int, outputSize: Int, weights: [Float], bias: [Float],
        precision: Precision = .f32, kernels: Kernels
    ) {
        var builder = PackedMatrix.Builder(
            inputSize: inputSize, outputSize: outputSize, precision: precision, kernels: kernels)
        builder.setInputRows(from: 0, weights.span)
        self.init(weight: builder.finish(), bias: bias, kernels: kernels)
    }

    /// Rows [0, …) of y become rows `rows` of x times W, plus b.
    ///
    /// - Parameters:
    ///   - x: [_, C_in].
    ///   - rows: the rows of x to take.
    ///   - quantized: scratch for as many rows of C_in, of this map's precision.
    ///   - y: [_, C_out].
    package func forward(
        _ x: borrowing Matrix, rows: Range<Int>, quantized: inout QuantizedRows,
        into y: inout Matrix
    ) {
        precondition(
            x.columns == weight.inputSize && y.columns == weight.outputSize,
            "\(x.columns) → \(y.columns) columns through \(weight.inputSize) → \(weight.outputSize)"
        )
        precondition(
            rows.lowerBound >= 0 && rows.upperBound <= x.rows && rows.count <= y.rows,
            "rows \(rows) of \(x.rows) into \(y.rows)")
        let format = unsafe kernels.format(weight.precision)
        let (input, stride) = unsafe quantized.take(x, rows: rows, for: format)
        unsafe bias.withUnsafeBufferPointer { bias in
            unsafe format.pointee.linear(
                input, stride, rows.count, weight.base,
                bias.isEmpty ? nil : bias.baseAddress, weight.inputSize, weight.outputSize,
                y.base, y.stride)
        }
    }
}

/// Where in a matrix a product begins.
struct MatrixOrigin {
    var row: Int
    var column: Int
}

extension Kernels {
    /// Which positions of k the rows of a product see.
    enum Depth {
        /// All rows see the same positions of k.
        case equal(Int)
        /// The first row sees this many positions of k, each later row one more than the row before.
        case growing(from: Int)
    }

    /// y = x·w for a few rows, k upward, where w is a narrow matrix of [k, wStride].
    ///
    /// - Precondition: `columns` is a multiple of 16 and everything lies inside its matrix.
    func product(
        _ x: borrowing Matrix, at origin: MatrixOrigin, rows: Int, depth: Depth, _ w: RawSpan,
        of element: CacheElement, wStride: Int, columns: Int, into y: inout Matrix,
        at target: MatrixOrigin
    ) {
        let (k, last) =
            switch depth {
            case .equal(let k): (k, k)
            case .growing(let first): (first, first + rows - 1)
            }
        precondition(
            origin.row >= 0 && origin.row + rows <= x.rows && origin.column >= 0
                && origin.column + last <= x.stride,
            "\(rows) × \(last) from row \(origin.row), column \(origin.column)")
        precondition(
            k > 0 && ((last - 1) * wStride + columns) * element.byteCount <= w.byteCount
                && columns % Int(LLK_LANES) == 0,
            "\(last) × \(columns) of \(w.byteCount) bytes of \(element) in rows of \(wStride)")
        precondition(
            target.row >= 0 && target.row + rows <= y.rows && target.column >= 0
                && target.column + columns <= y.stride,
            "\(rows) × \(columns) into row \(target.row), column \(target.column)")
        let function =
            switch (depth, element) {
            case (.equal, .f32): unsafe table.pointee.product.0
            case (.equal, .f16): unsafe table.pointee.product.1
            case (.growing, .f32): unsafe table.pointee.causal_product.0
            case (.growing, .f16): unsafe table.pointee.causal_product.1
            }
        unsafe w.withUnsafeBytes { w in
            unsafe function?(
                x.base + origin.row * x.stride + origin.column, x.stride, rows, w.baseAddress,
                wStride, k, columns,
                y.base + target.row * y.stride + target.column, y.stride)
        }
    }
}
