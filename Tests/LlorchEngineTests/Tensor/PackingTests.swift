// Weights on their way into panels and back: what each precision makes of a value, at every level.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import TestSupport
import Testing

@Suite struct PackingTests {
    static func column(_ column: Int, of matrix: PackedMatrix) -> [Float] {
        var values = [Float](repeating: 0, count: matrix.inputSize)
        var span = values.mutableSpan
        matrix.copyColumn(column, into: &span)
        return values
    }

    /// Both ways into the panels, in slices, for sizes that fill no unit and no panel.
    @Test(arguments: KernelTests.levels, Precision.allCases) func columnsComeBackRounded(
        _ level: InstructionSet, _ precision: Precision
    ) throws {
        let kernels = try KernelTests.kernels(level)
        var generator = SplitMix(seed: 5)
        for (inputSize, outputSize) in [(1, 1), (32, 64), (70, 131), (129, 65)] {
            let weights = KernelTests.random(inputSize * outputSize, &generator)
            let expected = ReferenceQuantization.weights(
                weights, outputSize: outputSize, precision: precision)

            var byInput = PackedMatrix.Builder(
                inputSize: inputSize, outputSize: outputSize, precision: precision,
                kernels: kernels)
            let inputs = PackedMatrix.Builder.inputGranule
            for first in stride(from: 0, to: inputSize, by: inputs) {
                let rows = first * outputSize..<min(first + inputs, inputSize) * outputSize
                byInput.setInputRows(from: first, weights.span.extracting(rows))
            }
            var byOutput = PackedMatrix.Builder(
                inputSize: inputSize, outputSize: outputSize, precision: precision,
                kernels: kernels)
            let transposed = (0..<outputSize).flatMap { n in
                (0..<inputSize).map { weights[$0 * outputSize + n] }
            }
            let outputs = PackedMatrix.Builder.outputGranule
            for first in stride(from: 0, to: outputSize, by: outputs) {
                let rows = first * inputSize..<min(first + outputs, outputSize) * inputSize
                byOutput.setOutputRows(from: first, transposed.span.extracting(rows))
            }

            for matrix in [byInput.finish(), byOutput.finish()] {
                for n in 0..<outputSize {
                    #expect(
                        KernelTests.bits(Self.column(n, of: matrix))
                            == KernelTests.bits(expected[n]),
                        "\(inputSize) × \(outputSize), column \(n)")
                }
            }
        }
    }

    /// Blocks as GGUF files hold them: what they stand for is quantized to the same again.
    @Test(arguments: KernelTests.levels, [(Precision.q8, 127), (.q4, 8)])
    func blocksOfFilesStayAsTheyAre(
        _ level: InstructionSet, _ kind: (precision: Precision, extreme: Int)
    ) throws {
        let kernels = try KernelTests.kernels(level)
        var generator = SplitMix(seed: 6)
        for _ in 0..<200 {
            let scale = ReferenceQuantization.half(
                Float.random(in: -4...4, using: &generator)
                    * (kind.precision == .q8 ? 0.001 : 0.03))
            var integers = (0..<32).map { _ in
                Int.random(in: -kind.extreme..<kind.extreme, using: &generator)
            }
            // Both formats derive the scale from the value of largest magnitude.
            integers[Int.random(in: 0..<32, using: &generator)] = -kind.extreme
            let values = integers.map { scale * Float($0) }
            let map = Linear(
                inputSize: 32, outputSize: 1, weights: values, bias: [],
                precision: kind.precision, kernels: kernels)
            #expect(Self.column(0, of: map.weight) == values, "\(scale) · \(integers)")
        }
    }

    @Test func halvesAreRoundedAsTheStandardSays() throws {
        for level in KernelTests.levels {
            let kernels = try KernelTests.kernels(level)
            var generator = SplitMix(seed: 7)
            let x =
                [0, -0.0, 65504, 65519, 65520, -1e30, 0x1p-14, 0x1p-24, 0x1p-25, 0x1.8p-25, 1e-30]
                + (0..<20_000).map { _ in
                    Float(bitPattern: UInt32.random(in: 0..<0x4780_0000, using: &generator))
                }
            var halves = [UInt16](repeating: 0, count: x.count)
            var span = halves.mutableSpan
            kernels.narrow(x.span, into: &span)
            for (value, half) in zip(x, halves) {
                let nearest = Float16(value)
                let expected =
                    nearest.isInfinite
                    ? Float16(value < 0 ? -65504 : 65504).bitPattern : nearest.bitPattern
                #expect(half == expected, "\(level.rawValue): \(value)")
                #expect(ReferenceQuantization.half(value) == Float(Float16(bitPattern: half)))
            }
        }
    }

    /// The negative twin: a value between two of a precision's is seen to move.
    @Test(arguments: [Precision.bf16, .q8, .q4]) func roundingIsSeen(_ precision: Precision) throws
    {
        let values = (0..<32).map { 1 + Float($0) * 0.01234567 }
        let map = Linear(
            inputSize: 32, outputSize: 1, weights: values, bias: [], precision: precision,
            kernels: .generic)
        #expect(Self.column(0, of: map.weight) != values)
    }
}
