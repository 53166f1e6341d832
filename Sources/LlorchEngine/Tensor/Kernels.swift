// The Swift face of CLlorchKernels: spans in, bounds checked once, then one call into C.
// SPDX-License-Identifier: Apache-2.0

import CLlorchKernels

/// One instruction-set level's inner loops.
@safe package struct Kernels: Sendable {
    package let instructionSet: InstructionSet
    nonisolated(unsafe) let table: UnsafePointer<llk_kernels>

    /// Returns nil when the processor cannot run the level.
    package init?(_ instructionSet: InstructionSet) {
        guard instructionSet.isSupported,
            let table = unsafe llk_kernels_for(instructionSet.level)
        else { return nil }
        self.instructionSet = instructionSet
        unsafe self.table = table
    }

    /// The level that runs everywhere.
    package static let generic = unsafe Kernels(.generic, llk_generic_kernels())

    private init(_ instructionSet: InstructionSet, _ table: UnsafePointer<llk_kernels>) {
        self.instructionSet = instructionSet
        unsafe self.table = table
    }

    // MARK: - Rows

    /// y = (x − mean) / √(variance + epsilon) · weight + bias over one row.
    package func layerNorm(
        _ x: Span<Float>, weight: Span<Float>, bias: Span<Float>, epsilon: Float,
        into y: inout MutableSpan<Float>
    ) {
        let n = x.count
        precondition(
            weight.count == n && bias.count == n && y.count >= n,
            "layer norm of \(n) values with \(weight.count) weights into \(y.count)")
        unsafe x.withUnsafeBufferPointer { x in
            unsafe weight.withUnsafeBufferPointer { weight in
                unsafe bias.withUnsafeBufferPointer { bias in
                    unsafe y.withUnsafeMutableBufferPointer { y in
                        unsafe table.pointee.layer_norm(
                            x.baseAddress, weight.baseAddress, bias.baseAddress, epsilon, n,
                            y.baseAddress)
                    }
                }
            }
        }
    }

    /// exp(x − max) / sum, in place.
    package func softmax(_ x: inout MutableSpan<Float>) {
        precondition(x.count > 0, "softmax of no values")
        unsafe x.withUnsafeMutableBufferPointer { x in
            unsafe table.pointee.softmax(x.baseAddress, x.count)
        }
    }

    // MARK: - Elementwise

    /// y = x as IEEE halves, ties to even, saturating at ±65504.
    package func narrow(_ x: Span<Float>, into y: inout MutableSpan<UInt16>) {
        precondition(x.count == y.count, "narrowing \(x.count) values into \(y.count)")
        unsafe x.withUnsafeBufferPointer { x in
            unsafe y.withUnsafeMutableBufferPointer { y in
                unsafe table.pointee.narrow(x.baseAddress, y.baseAddress, x.count)
            }
        }
    }

    /// Whether each value is a number whose magnitude is at most `magnitude`, which is finite.
    package func fits(_ x: Span<Float>, magnitude: Float) -> Bool {
        unsafe x.withUnsafeBufferPointer { x in
            unsafe table.pointee.fits(x.baseAddress, x.count, magnitude) != 0
        }
    }

    /// x = x · factor.
    package func scale(_ x: inout MutableSpan<Float>, by factor: Float) {
        unsafe x.withUnsafeMutableBufferPointer { x in
            unsafe table.pointee.scale(x.baseAddress, factor, x.count)
        }
    }

    /// y = y + x.
    package func add(_ x: Span<Float>, to y: inout MutableSpan<Float>) {
        precondition(x.count == y.count, "adding \(x.count) values to \(y.count)")
        unsafe x.withUnsafeBufferPointer { x in
            unsafe y.withUnsafeMutableBufferPointer { y in
                unsafe table.pointee.add(x.baseAddress, y.baseAddress, x.count)
            }
        }
    }

    /// x · σ(2u), u = √(2/π)·(x + 0.044715·x³): the form GPT-2 was trained with.
    package func geluTanh(_ x: inout MutableSpan<Float>) {
        unsafe x.withUnsafeMutableBufferPointer { x in
            unsafe table.pointee.gelu_tanh(x.baseAddress, x.count)
        }
    }

    /// x · Φ(x).
    package func geluErf(_ x: inout MutableSpan<Float>) {
        unsafe x.withUnsafeMutableBufferPointer { x in
            unsafe table.pointee.gelu_erf(x.baseAddress, x.count)
        }
    }

    /// x = e^x, within 2 ulp, in place.
    package func exponentials(of x: inout MutableSpan<Float>) {
        unsafe x.withUnsafeMutableBufferPointer { x in
            unsafe table.pointee.exponential(x.baseAddress, x.baseAddress, x.count)
        }
    }
}
