// Stored blocks come out as their definition says, value by value; a second rounding finds nothing to round.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import TestSupport
import Testing

struct GGUFTypeTests {
    @Test func knowsTheNamesOfTheFormat() {
        #expect(GGUFType.q4K.name == "Q4_K")
        #expect(GGUFType.iq2XXS.name == "IQ2_XXS")
        #expect(GGUFType.bfloat16.name == "BF16")
        #expect(Set(GGUFType.allCases.compactMap(\.format)) == Set(StoredFormat.allCases))
    }

    /// Random bytes, scales that are NaN included, against a reading of the definition byte by byte.
    @Test(arguments: [GGUFType.q80, .q40, .q6K], 0..<50 as Range<UInt64>)
    func widensBlocks(element: GGUFType, seed: UInt64) {
        var random = SplitMix(seed: seed)
        let count = Int.random(in: 1...5, using: &random)
        let bytes = (0..<count * element.bytesPerBlock).map { _ in
            UInt8.random(in: 0...255, using: &random)
        }
        let expected = stride(from: 0, to: bytes.count, by: element.bytesPerBlock).flatMap {
            Self.values(of: element, Array(bytes[$0..<$0 + element.bytesPerBlock]))
        }
        let found = widened(element, bytes)
        #expect(found.map(\.bitPattern) == expected.map(\.bitPattern), "seed \(seed)")
    }

    /// Quantizing what was widened gives the same blocks, by the rules of ggml.
    @Test(arguments: [GGUFType.q80, .q40], 0..<50 as Range<UInt64>)
    func widensWithoutLoss(element: GGUFType, seed: UInt64) {
        var random = SplitMix(seed: seed)
        let scale = Float.random(in: 1e-4...10, using: &random)
        let values = (0..<96).map { _ in Float.random(in: -scale...scale, using: &random) }
        let bytes = Self.quantized(values, element)
        #expect(Self.quantized(widened(element, bytes), element) == bytes, "seed \(seed)")
        #expect(widened(element, bytes) != values)
    }

    private func widened(_ element: GGUFType, _ bytes: [UInt8]) -> [Float] {
        let units = stride(from: 0, to: bytes.count, by: 2).map { place in
            (UInt16(bytes[place + 1]) << 8 | UInt16(bytes[place])).littleEndian
        }
        let count = bytes.count / element.bytesPerBlock * element.valuesPerBlock
        // Places before and after stay as they are.
        var floats = [Float](repeating: 77, count: count + 6)
        var span = floats.mutableSpan
        element.format?.widen(units.span, into: &span, at: 4)
        #expect(floats[..<4] == [77, 77, 77, 77] && floats.suffix(2) == [77, 77])
        return Array(floats[4..<4 + count])
    }

    /// https://github.com/ggml-org/ggml/blob/master/src/ggml-quants.c, dequantize_row_*.
    private static func values(of element: GGUFType, _ block: [UInt8]) -> [Float] {
        func half(_ place: Int) -> Float {
            Float(halfBits: UInt16(block[place + 1]) << 8 | UInt16(block[place]))
        }
        switch element {
        case .q80:
            return block[2...].map { half(0) * Float(Int8(bitPattern: $0)) }
        case .q40:
            return block[2...].map { half(0) * Float(Int($0 & 15) - 8) }
                + block[2...].map { half(0) * Float(Int($0 >> 4) - 8) }
        default:
            return (0..<256).map { index in
                let (half128, within) = (index / 128, index % 128)
                let (quarter, lane) = (within / 32, within % 32)
                let low = block[64 * half128 + lane + (quarter % 2 == 1 ? 32 : 0)]
                let lowBits = quarter < 2 ? low & 15 : low >> 4
                let highBits = block[128 + 32 * half128 + lane] >> (2 * UInt8(quarter)) & 3
                let subscale = Int8(bitPattern: block[192 + index / 16])
                return half(208) * Float(subscale) * Float(Int(lowBits | highBits << 4) - 32)
            }
        }
    }

    /// quantize_row_q8_0_ref and quantize_row_q4_0_ref of the same file.
    static func quantized(_ values: [Float], _ element: GGUFType) -> [UInt8] {
        stride(from: 0, to: values.count, by: 32).flatMap { start -> [UInt8] in
            let block = values[start..<start + 32]
            let extreme = block.reduce(Float(0)) { abs($1) > abs($0) ? $1 : $0 }
            let scale = element == .q80 ? abs(extreme) / 127 : extreme / -8
            let inverse = scale == 0 ? 0 : 1 / scale
            let head = littleEndianBytes(UInt64(Float16(scale).bitPattern), count: 2)
            if element == .q80 {
                return head
                    + block.map {
                        UInt8(bitPattern: Int8(($0 * inverse).rounded(.toNearestOrAwayFromZero)))
                    }
            }
            let quanta = block.map { UInt8(min(15, Int($0 * inverse + 8.5))) }
            return head + (0..<16).map { quanta[$0] | quanta[$0 + 16] << 4 }
        }
    }
}
