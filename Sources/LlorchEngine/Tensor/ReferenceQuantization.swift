// How weights and rows are rounded, and how rounded ones are multiplied, written to be read. Slow and not used when
// jobs run; tests compare the bits of every instruction-set level with these.
// SPDX-License-Identifier: Apache-2.0

/// Naive twins of CLlorchKernels' packing.h and quantized_products.h.
package enum ReferenceQuantization {
    /// Values that share a scale, along k.
    package static let blockSize = 32

    /// A scale and as many integers as a block has values: value = scale · integer.
    package struct Block: Sendable, Hashable {
        package var scale: Float
        package var integers: [Int]
    }

    // MARK: - Numbers

    /// The nearest half, ties to even, as a float; ±65504 beyond that, −65504 for NaN.
    package static func half(_ x: Float) -> Float {
        guard x > -65504 else { return -65504 }
        guard x < 65504 else { return 65504 }
        // Units of 2^-10 of the binade, and never below 2^-24.
        let unit = max(x.magnitude.binade * 0x1p-10, 0x1p-24)
        return (x / unit).rounded(.toNearestOrEven) * unit
    }

    /// The nearest bfloat16, ties to even, as a float.
    package static func bfloat(_ x: Float) -> Float {
        if x.isNaN { return x }
        let bits = x.bitPattern
        return Float(bitPattern: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) & 0xFFFF_0000)
    }

    private static func integer(
        _ x: Float, inverse: Float, in range: ClosedRange<Float>
    ) -> Int {
        let scaled = x * inverse
        guard scaled > range.lowerBound else { return Int(range.lowerBound) }
        return Int(min(scaled, range.upperBound).rounded(.toNearestOrEven))
    }

    // MARK: - Blocks

    /// A row of activations: scale = largest / 127, not rounded further; below 2^-119 all integers are 0.
    package static func activations(_ x: [Float]) -> Block {
        let largest = x.reduce(0) { max($0, $1.magnitude) }
        let inverse = largest >= 0x1p-119 ? 127 / largest : 0
        return Block(
            scale: largest / 127,
            integers: x.map { integer($0, inverse: inverse, in: -127...127) })
    }

    /// Weights of `q8`: as activations, with the scale rounded to a half first.
    package static func q8(_ x: [Float]) -> Block {
        block(x, scale: half(x.reduce(0) { max($0, $1.magnitude) } / 127), in: -127...127)
    }

    /// Weights of `q4`: the block with the least squared error.
    ///
    /// Four scales are tried, which make the extreme value −8, about −8 or about 7; then the scale
    /// that fits the integers of the best block by least squares.
    package static func q4(_ x: [Float]) -> Block {
        var extreme: Float = 0
        for value in x where value.magnitude > extreme.magnitude { extreme = value }
        let factors: [Float] = [-1 / 8, -1 / 8.5, 1 / 7.25, 1 / 7.75]
        let range: ClosedRange<Float> = -8...7
        var best = block(x, scale: half(extreme * factors[0]), in: range)
        for factor in factors.dropFirst() {
            let candidate = block(x, scale: half(extreme * factor), in: range)
            if squaredError(candidate, x) < squaredError(best, x) { best = candidate }
        }
        var dot: Float = 0
        var square: Float = 0
        for (value, q) in zip(x, best.integers) {
            dot = dot.addingProduct(value, Float(q))
            square = square.addingProduct(Float(q), Float(q))
        }
        let fitted = block(x, scale: half(dot * (square == 0 ? 0 : 1 / square)), in: range)
        return squaredError(fitted, x) < squaredError(best, x) ? fitted : best
    }

    private static func block(
        _ x: [Float], scale: Float, in range: ClosedRange<Float>
    ) -> Block {
        let inverse = scale == 0 ? 0 : 1 / scale
        return Block(
            scale: scale, integers: x.map { integer($0, inverse: inverse, in: range) })
    }

    private static func squaredError(_ block: Block, _ x: [Float]) -> Float {
        zip(x, block.integers).reduce(0) { sum, pair in
            let rest = pair.0.addingProduct(-block.scale, Float(pair.1))
            return sum.addingProduct(rest, rest)
        }
    }

    /// Cuts values into blocks, the last filled with zeros.
    package static func blocks(_ x: [Float], _ quantize: ([Float]) -> Block) -> [Block] {
        stride(from: 0, to: x.count, by: blockSize).map { first in
            let part = x[first..<min(first + blockSize, x.count)]
            return quantize(part + [Float](repeating: 0, count: blockSize - part.count))
        }
    }

    // MARK: - Products

    /// The values that a weight matrix [K, N] has once it is held at a precision, output by output: [N][K].
    package static func weights(
        _ weights: [Float], outputSize: Int, precision: Precision
    ) -> [[Float]] {
        (0..<outputSize).map { n in
            let column = stride(from: n, to: weights.count, by: outputSize).map { weights[$0] }
            return switch precision {
            case .f32: column
            case .bf16: column.map(bfloat)
            case .q8: values(blocks(column, q8), count: column.count)
            case .q4: values(blocks(column, q4), count: column.count)
            }
        }
    }

    private static func values(_ blocks: [Block], count: Int) -> [Float] {
        Array(
            blocks.flatMap { block in block.integers.map { block.scale * Float($0) } }.prefix(count)
        )
    }

    /// One row of x·W + b with W [K, N] held at a precision: a fused multiply-add per k, or per block.
    package static func linear(
        _ x: [Float], weights: [Float], bias: [Float]?, outputSize: Int, precision: Precision
    ) -> [Float] {
        let quantize: ([Float]) -> Block
        switch precision {
        case .f32:
            return ReferenceKernels.linear(x, weights: weights, bias: bias, outputSize: outputSize)
        case .bf16:
            return ReferenceKernels.linear(
                x, weights: weights.map(bfloat), bias: bias, outputSize: outputSize)
        case .q8: quantize = q8
        case .q4: quantize = q4
        }
        let row = blocks(x, activations)
        return (0..<outputSize).map { n in
            let column = stride(from: n, to: weights.count, by: outputSize).map { weights[$0] }
            return zip(row, blocks(column, quantize)).reduce(bias?[n] ?? 0) { sum, pair in
                let products = zip(pair.0.integers, pair.1.integers).reduce(0) { $0 + $1.0 * $1.1 }
                return sum.addingProduct(Float(products), pair.1.scale * pair.0.scale)
            }
        }
    }
}
