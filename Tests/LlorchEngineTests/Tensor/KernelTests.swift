// Every kernel at every level this processor has, against its readable twin: the bits, not a tolerance.
// All small shapes, then random large ones; and how near exp and the activations are to the truth.
// SPDX-License-Identifier: Apache-2.0

import Foundation
import LlorchEngine
import TestSupport
import Testing

@Suite struct KernelTests {
    static let levels = InstructionSet.allCases.filter(\.isSupported)

    static func kernels(_ level: InstructionSet) throws -> Kernels {
        try #require(Kernels(level))
    }

    static func random(_ count: Int, _ generator: inout SplitMix) -> [Float] {
        (0..<count).map { _ in Float.random(in: -2...2, using: &generator) }
    }

    static func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }

    /// All rows of x through one linear map.
    static func linear(
        _ x: [[Float]], weights: [Float], bias: [Float], outputSize: Int,
        precision: Precision, kernels: Kernels
    ) -> [[Float]] {
        let map = Linear(
            inputSize: x[0].count, outputSize: outputSize, weights: weights, bias: bias,
            precision: precision, kernels: kernels)
        return apply(map, to: x, kernels)
    }

    static func apply(_ map: Linear, to x: [[Float]], _ kernels: Kernels) -> [[Float]] {
        let (inputSize, outputSize) = (map.weight.inputSize, map.weight.outputSize)
        var quantized = QuantizedRows(
            rows: x.count, columns: inputSize, precision: map.weight.precision, kernels: kernels)
        var input = Matrix(rows: x.count, columns: inputSize)
        for (index, values) in x.enumerated() {
            var row = input.mutableRow(index)
            for column in values.indices { row[column] = values[column] }
        }
        var output = Matrix(rows: x.count, columns: outputSize)
        map.forward(input, rows: 0..<x.count, quantized: &quantized, into: &output)
        return x.indices.map { index in
            let row = output.row(index)
            return row.indices.map { row[$0] }
        }
    }

    @Test(arguments: levels, Precision.allCases) func linearEqualsItsTwinOnAllSmallShapes(
        _ level: InstructionSet, _ precision: Precision
    ) throws {
        let kernels = try Self.kernels(level)
        var generator = SplitMix(seed: 1)
        // A quantized product has blocks of 32 inputs; 65 is two and a rest.
        let inputSizes = precision == .f32 || precision == .bf16 ? Array(1...18) : [1, 31, 32, 65]
        for rows in 1...7 {
            for inputSize in inputSizes {
                for outputSize in [1, 2, 15, 16, 17, 31, 63, 64, 65] {
                    let x = (0..<rows).map { _ in Self.random(inputSize, &generator) }
                    let weights = Self.random(inputSize * outputSize, &generator)
                    let bias = Self.random(outputSize, &generator)
                    let found = Self.linear(
                        x, weights: weights, bias: bias, outputSize: outputSize,
                        precision: precision, kernels: kernels)
                    for (row, values) in x.enumerated() {
                        let expected = ReferenceQuantization.linear(
                            values, weights: weights, bias: bias, outputSize: outputSize,
                            precision: precision)
                        #expect(
                            Self.bits(found[row]) == Self.bits(expected),
                            "\(rows) rows, \(inputSize) → \(outputSize), row \(row)")
                    }
                }
            }
        }
    }

    @Test(arguments: levels, Precision.allCases) func linearEqualsItsTwinOnLargeShapes(
        _ level: InstructionSet, _ precision: Precision
    ) throws {
        let kernels = try Self.kernels(level)
        for seed: UInt64 in [11, 12, 13] {
            var generator = SplitMix(seed: seed)
            let rows = Int.random(in: 1...40, using: &generator)
            // Beyond one block of a panel (192 inputs, 16 or 32 units), so that partial sums go through
            // memory.
            let inputSize = Int.random(in: 520...1100, using: &generator)
            let outputSize = Int.random(in: 60...140, using: &generator)
            let x = (0..<rows).map { _ in Self.random(inputSize, &generator) }
            let weights = Self.random(inputSize * outputSize, &generator)
            let found = Self.linear(
                x, weights: weights, bias: [], outputSize: outputSize, precision: precision,
                kernels: kernels)
            for row in [0, rows / 2, rows - 1] {
                let expected = ReferenceQuantization.linear(
                    x[row], weights: weights, bias: nil, outputSize: outputSize,
                    precision: precision)
                #expect(Self.bits(found[row]) == Self.bits(expected), "seed \(seed), row \(row)")
            }
        }
    }

    @Test(arguments: levels) func rowFunctionsEqualTheirTwins(_ level: InstructionSet) throws {
        let kernels = try Self.kernels(level)
        var generator = SplitMix(seed: 2)
        for count in Array(1...67) + [768, 1000, 1024] {
            let x = Self.random(count, &generator).map { $0 * 8 }
            let weight = Self.random(count, &generator)
            let bias = Self.random(count, &generator)

            var normalised = [Float](repeating: 0, count: count)
            var target = normalised.mutableSpan
            kernels.layerNorm(
                x.span, weight: weight.span, bias: bias.span, epsilon: 1e-5, into: &target)
            let expected = ReferenceKernels.layerNorm(
                x, weight: weight, bias: bias, epsilon: 1e-5)
            #expect(Self.bits(normalised) == Self.bits(expected), "layer norm of \(count)")

            var weights = x
            var span = weights.mutableSpan
            kernels.softmax(&span)
            #expect(
                Self.bits(weights) == Self.bits(ReferenceKernels.softmax(x)), "softmax of \(count)")
            let total = weights.reduce(0.0) { $0 + Double($1) }
            #expect(abs(total - 1) < 1e-6, "softmax of \(count) sums to \(total)")
        }
    }

    @Test(arguments: levels) func elementwiseFunctionsEqualTheirTwins(
        _ level: InstructionSet
    ) throws {
        let kernels = try Self.kernels(level)
        var generator = SplitMix(seed: 3)
        let denormal = Float.leastNormalMagnitude / 128
        let special: [Float] = [
            0, -0.0, .infinity, -.infinity, .nan, 88.7, 89, -87.4, -103.9, -104, denormal,
            -denormal,
            .greatestFiniteMagnitude, -.greatestFiniteMagnitude,
        ]
        let x =
            special + (0..<20_000).map { _ in Float.random(in: -110...95, using: &generator) }
        for (name, apply, twin) in [
            ("exp", { kernels.exponentials(of: &$0) }, Math.exponential),
            ("gelu tanh", { kernels.geluTanh(&$0) }, ReferenceKernels.geluTanh),
            ("gelu erf", { kernels.geluErf(&$0) }, ReferenceKernels.geluErf),
        ] as [(String, (inout MutableSpan<Float>) -> Void, (Float) -> Float)] {
            var values = x
            var span = values.mutableSpan
            apply(&span)
            for (index, value) in values.enumerated() {
                let expected = twin(x[index])
                // The sign and payload of a NaN are the processor's business.
                if value.isNaN, expected.isNaN { continue }
                #expect(value.bitPattern == expected.bitPattern, "\(name) of \(x[index])")
            }
        }
    }

    /// The C library stands for the truth here, in double precision; it never enters a result.
    @Test func exponentialIsWithinTwoUlp() {
        var worst = 0.0
        var bits: UInt32 = 0
        while bits < 0xFFFF_0000 {
            let x = Float(bitPattern: bits)
            bits += 40_009
            guard x > -87, x < 88.7 else { continue }
            let truth = exp(Double(x))
            let ulp = Double(Float(truth).ulp)
            worst = max(worst, abs(Double(Math.exponential(x)) - truth) / ulp)
        }
        print("largest error of exp: \(worst) ulp")
        #expect(worst <= 2)
    }

    @Test func activationsAreNearTheTruth() {
        var worst = (tanh: 0.0, erf: 0.0)
        for step in -30_000...30_000 {
            let x = Float(step) / 2000
            let wide = Double(x)
            let u = (2 / Double.pi).squareRoot() * (wide + 0.044715 * wide * wide * wide)
            let scale = max(1, abs(wide))
            worst.tanh = max(
                worst.tanh,
                abs(Double(ReferenceKernels.geluTanh(x)) - 0.5 * wide * (1 + tanh(u))) / scale)
            worst.erf = max(
                worst.erf,
                abs(
                    Double(ReferenceKernels.geluErf(x)) - 0.5 * wide
                        * erfc(-wide / 2.0.squareRoot()))
                    / scale)
        }
        print("largest error of gelu: tanh form \(worst.tanh), erf form \(worst.erf)")
        #expect(worst.tanh < 3e-7)
        #expect(worst.erf < 3e-7)
    }

    /// The negative twin: another order of additions is another result, and the comparison sees it.
    @Test func theComparisonSeesAnotherOrderOfAdditions() {
        var generator = SplitMix(seed: 4)
        let x = Self.random(256, &generator)
        let weights = Self.random(256, &generator)
        let forward = ReferenceKernels.linear(x, weights: weights, bias: nil, outputSize: 1)
        let backward = ReferenceKernels.linear(
            x.reversed(), weights: weights.reversed(), bias: nil, outputSize: 1)
        #expect(Self.bits(forward) != Self.bits(backward))
    }
}
