// What q8 and q4 make of weights: what Q8_0 and Q4_0 wrote comes back, the error is bounded, and q4's is
// no larger than Q4_0's. The rules of those two are written out here.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import TestSupport
import Testing

@Suite struct QuantizerTests {
    static let levels = InstructionSet.allCases.filter(\.isSupported)
    static let blockSize = 32
    /// No multiple of any panel.
    static let columnCount = 53

    /// Blocks [column][32] through the packed weights and back.
    static func requantized(
        _ columns: [[Float]], _ precision: Precision, _ level: InstructionSet
    ) throws -> [[Float]] {
        let kernels = try #require(Kernels(level))
        return requantized(columns, columns.flatMap(\.self), precision, kernels)
    }

    private static func requantized(
        _ columns: [[Float]], _ values: [Float], _ precision: Precision, _ kernels: Kernels
    ) -> [[Float]] {
        var builder = PackedMatrix.Builder(
            inputSize: blockSize, outputSize: columns.count, precision: precision,
            kernels: kernels)
        builder.setOutputRows(from: 0, values.span)
        let matrix = builder.finish()
        return columns.indices.map { column in
            var found = [Float](repeating: 0, count: blockSize)
            var span = found.mutableSpan
            matrix.copyColumn(column, into: &span)
            return found
        }
    }

    /// The value nearest to `x` that a half has.
    static func half(_ x: Float) -> Float {
        let kernels = Kernels.generic
        var bits: [UInt16] = [0]
        var span = bits.mutableSpan
        kernels.narrow([x].span, into: &span)
        return Float(halfBits: bits[0])
    }

    /// ggml's Q8_0: scale = largest / 127, rounded to a half after it was used.
    static func ggmlQ8(_ block: [Float]) -> [Float] {
        let scale = block.reduce(0) { max($0, abs($1)) } / 127
        guard scale > 0 else { return block.map { _ in 0 } }
        return block.map { ($0 / scale).rounded(.toNearestOrAwayFromZero) * half(scale) }
    }

    /// ggml's Q4_0: scale = extreme / −8, the first of equals; quanta 0 … 15 around 8.
    static func ggmlQ4(_ block: [Float]) -> [Float] {
        let extreme = block.reduce(0) { abs($1) > abs($0) ? $1 : $0 }
        let scale = extreme / -8
        guard scale != 0 else { return block.map { _ in 0 } }
        return block.map { min(15, ($0 / scale + 8.5).rounded(.down)) - 8 }
            .map { $0 * half(scale) }
    }

    /// Blocks of many spreads, some lopsided, some with few values, one of zeros.
    static func blocks(_ generator: inout SplitMix) -> [[Float]] {
        (0..<columnCount).map { column in
            let spread = Float.random(in: 0.001...4, using: &generator)
            let offset = column % 3 == 0 ? Float.random(in: -1...1, using: &generator) * spread : 0
            return (0..<blockSize).map { _ in
                switch column {
                case 7: return 0
                case 8..<12: return Float(Int.random(in: -1...1, using: &generator)) * spread
                default:
                    // A sum of three is near enough to a bell.
                    let bell = (0..<3).reduce(Float(0)) { sum, _ in
                        sum + Float.random(in: -1...1, using: &generator)
                    }
                    return bell * spread + offset
                }
            }
        }
    }

    static func squaredError(_ x: [Float], _ y: [Float]) -> Double {
        zip(x, y).reduce(0) { $0 + (Double($1.0) - Double($1.1)) * (Double($1.0) - Double($1.1)) }
    }

    @Test(arguments: levels, UInt64(0)..<20) func whatGGMLWroteComesBack(
        _ level: InstructionSet, _ seed: UInt64
    ) throws {
        var generator = SplitMix(seed: seed)
        let blocks = Self.blocks(&generator)
        for (precision, rule) in [(Precision.q8, Self.ggmlQ8), (.q4, Self.ggmlQ4)] {
            let written = blocks.map(rule)
            // The negative of a block has its extreme on the other side.
            for columns in [written, written.map { $0.map { -$0 } }] {
                let found = try Self.requantized(columns, precision, level)
                for (column, values) in found.enumerated() {
                    #expect(
                        values == columns[column],
                        "\(precision) at \(level), seed \(seed), column \(column)")
                }
            }
        }
    }

    @Test(arguments: UInt64(0)..<20) func errorsAreNoLargerThanGGMLs(_ seed: UInt64) throws {
        var generator = SplitMix(seed: seed)
        let blocks = Self.blocks(&generator)
        let q4 = try Self.requantized(blocks, .q4, .best)
        let q8 = try Self.requantized(blocks, .q8, .best)
        for (column, block) in blocks.enumerated() {
            let ours = Self.squaredError(block, q4[column])
            let theirs = Self.squaredError(block, Self.ggmlQ4(block))
            #expect(ours <= theirs * (1 + 1e-5), "q4, seed \(seed), column \(column)")
            let largest = block.reduce(0) { max($0, abs($1)) }
            for (value, found) in zip(block, q8[column]) {
                // Half a step, and what the scale's own rounding does at the far end.
                let bound = largest / 127 * 0.5 + largest * 0x1p-11
                #expect(abs(value - found) <= bound, "q8, seed \(seed), column \(column)")
            }
        }
    }

    /// The search is worth its time: over many blocks its error is clearly below Q4_0's.
    @Test func q4IsBetterThanQ4_0() throws {
        var generator = SplitMix(seed: 5)
        var (ours, theirs) = (0.0, 0.0)
        for _ in 0..<20 {
            let blocks = Self.blocks(&generator)
            for (block, found) in zip(blocks, try Self.requantized(blocks, .q4, .best)) {
                ours += Self.squaredError(block, found)
                theirs += Self.squaredError(block, Self.ggmlQ4(block))
            }
        }
        #expect(ours < theirs * 0.85, "\(ours) against \(theirs)")
    }
}
