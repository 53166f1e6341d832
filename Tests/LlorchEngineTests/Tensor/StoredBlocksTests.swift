// Blocks of GGUF files on their way into panels: as their values would be packed, and where the panel holds the same
// blocks, without being rounded again.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import TestSupport
import Testing

@Suite struct StoredBlocksTests {
    /// Rows of random blocks, scales that are no numbers left out.
    struct Rows {
        let format: StoredFormat
        let inputSize: Int
        let outputSize: Int
        var bytes: [UInt8]

        init(
            _ format: StoredFormat, inputs: Int, outputs: Int, _ generator: inout SplitMix
        ) {
            self.format = format
            inputSize = inputs
            outputSize = outputs
            let count = inputs / format.valuesPerBlock * outputs
            bytes = (0..<count * format.bytesPerBlock).map { _ in
                .random(in: 0...255, using: &generator)
            }
            for index in 0..<count {
                let scale = Float16.random(in: -0.5...0.5, using: &generator)
                self.set(scale: scale.bitPattern, ofBlock: index)
            }
        }

        mutating func set(scale: UInt16, ofBlock index: Int) {
            // Q6_K has it at its end.
            let place = index * format.bytesPerBlock + (format == .q6K ? 208 : 0)
            bytes[place] = UInt8(truncatingIfNeeded: scale)
            bytes[place + 1] = UInt8(truncatingIfNeeded: scale >> 8)
        }

        var values: [Float] {
            let units = stride(from: 0, to: bytes.count, by: 2).map {
                UInt16(bytes[$0]) | UInt16(bytes[$0 + 1]) << 8
            }
            var values = [Float](repeating: 0, count: inputSize * outputSize)
            var span = values.mutableSpan
            format.widen(units.span, into: &span, at: 0)
            return values
        }

        /// Packed in slices, as a loader does.
        func packed(_ precision: Precision, _ kernels: Kernels) -> PackedMatrix {
            var builder = PackedMatrix.Builder(
                inputSize: inputSize, outputSize: outputSize, precision: precision,
                kernels: kernels)
            let rowBytes = bytes.count / outputSize
            for first in stride(from: 0, to: outputSize, by: 64) {
                let rows = first * rowBytes..<min(first + 64, outputSize) * rowBytes
                builder.setOutputRows(
                    from: first, stored: format, bytes.span.bytes.extracting(rows))
            }
            return builder.finish()
        }
    }

    static let formats: [StoredFormat] = [.q80, .q40, .q6K]
    static let sizes = [(256, 1), (256, 131), (768, 64), (512, 70)]

    private static func isSame(_ format: StoredFormat, _ precision: Precision) -> Bool {
        (format, precision) == (.q80, .q8) || (format, precision) == (.q40, .q4)
    }

    @Test(arguments: KernelTests.levels, Precision.allCases)
    func arePackedAsTheirValues(_ level: InstructionSet, _ precision: Precision) throws {
        let kernels = try KernelTests.kernels(level)
        var generator = SplitMix(seed: 8)
        for format in Self.formats where !Self.isSame(format, precision) {
            for (inputs, outputs) in Self.sizes {
                let rows = Rows(format, inputs: inputs, outputs: outputs, &generator)
                var builder = PackedMatrix.Builder(
                    inputSize: inputs, outputSize: outputs, precision: precision,
                    kernels: kernels)
                builder.setOutputRows(from: 0, rows.values.span)
                let (found, expected) = (rows.packed(precision, kernels), builder.finish())
                for n in 0..<outputs {
                    #expect(
                        KernelTests.bits(PackingTests.column(n, of: found))
                            == KernelTests.bits(PackingTests.column(n, of: expected)),
                        "\(format), \(inputs) × \(outputs), column \(n)")
                }
            }
        }
    }

    /// Whatever a block's largest integer is: only −128, which Q8_0's quantizers do not write, gives way.
    @Test(arguments: KernelTests.levels, [Precision.q8, .q4])
    func stayAsTheyAre(_ level: InstructionSet, _ precision: Precision) throws {
        let kernels = try KernelTests.kernels(level)
        var generator = SplitMix(seed: 9)
        for (inputs, outputs) in Self.sizes {
            let format: StoredFormat = precision == .q8 ? .q80 : .q40
            var rows = Rows(format, inputs: inputs, outputs: outputs, &generator)
            let matrix = rows.packed(precision, kernels)
            for index in rows.bytes.indices where precision == .q8 && index % 34 > 1 {
                if rows.bytes[index] == 0x80 { rows.bytes[index] = 0x81 }
            }
            let expected = rows.values
            for n in 0..<outputs {
                #expect(
                    KernelTests.bits(PackingTests.column(n, of: matrix))
                        == KernelTests.bits(Array(expected[n * inputs..<(n + 1) * inputs])),
                    "\(inputs) × \(outputs), column \(n)")
            }
        }
    }

    /// A file may say so; products must be the same at every level all the same.
    @Test(arguments: [Precision.q8, .q4]) func scalesThatAreNoNumbersSaturate(
        _ precision: Precision
    ) throws {
        var generator = SplitMix(seed: 10)
        var rows = Rows(precision == .q8 ? .q80 : .q40, inputs: 64, outputs: 40, &generator)
        let scales: [UInt16] = [0x7C00, 0xFC00, 0x7C01, 0xFE00, 0x7BFF, 0x8000, 0x0001]
        for (index, scale) in scales.enumerated() { rows.set(scale: scale, ofBlock: index) }
        let x = KernelTests.random(64, &generator)
        let products = try KernelTests.levels.map { level in
            let kernels = try KernelTests.kernels(level)
            let map = Linear(weight: rows.packed(precision, kernels), bias: [], kernels: kernels)
            return KernelTests.bits(KernelTests.apply(map, to: [x], kernels)[0])
        }
        #expect(Set(products).count == 1)
        #expect(products[0].allSatisfy { Float(bitPattern: $0).isFinite })
    }
}
