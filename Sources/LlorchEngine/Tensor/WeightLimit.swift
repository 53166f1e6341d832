// The largest weight that a precision holds, and the search for one that it does not: NaN, an infinity, or a number
// beyond the limit. Every weight is looked at while it is packed. What is said about it: Model/GPT2Weights.swift.
// SPDX-License-Identifier: Apache-2.0

/// Finds weights that are no numbers, or too large to be held.
struct WeightLimit: Sendable {
    /// The largest magnitude.
    let magnitude: Float

    init(_ precision: Precision) {
        magnitude =
            switch precision {
            case .f32: .greatestFiniteMagnitude
            // Halfway from the largest bfloat16 to the next power of two begins what is rounded to infinity.
            case .bf16: Float(bitPattern: 0x7F7F_7FFF)
            // The largest half as scale, times the largest integer.
            case .q8: Self.largestHalf * 127
            case .q4: Self.largestHalf * 8
            }
    }

    private static let largestHalf: Float = 65504

    /// The place of the first weight that does not fit; nil where all do.
    func firstUnfit(in values: Span<Float>, _ kernels: Kernels) -> Int? {
        if kernels.fits(values, magnitude: magnitude) { return nil }
        return values.indices.first { !(values[$0].magnitude <= magnitude) }
    }

    /// The place, counted in values, of the first weight that does not fit, and the weight.
    ///
    /// A block whose scale is not finite has no weights that are; the scale is given in their place.
    func firstUnfit(inBlocks bytes: RawSpan, _ format: StoredFormat) -> (place: Int, value: Float)?
    {
        let (step, scalePlace, largest): (Int, Int, Float) =
            switch format {
            case .q80: (format.bytesPerBlock, 0, 127)
            case .q40: (format.bytesPerBlock, 0, 8)
            case .q6K: (format.bytesPerBlock, format.bytesPerBlock - 2, 128 * 32)
            case .float32, .float16, .bfloat16: preconditionFailure("\(format.name) has no blocks")
            }
        let whole = bytes.byteCount / step * step
        for block in stride(from: 0, to: whole, by: step) {
            let bits = unsafe UInt16(
                littleEndian: bytes.unsafeLoadUnaligned(
                    fromByteOffset: block + scalePlace, as: UInt16.self))
            let scale = Float(halfBits: bits)
            if scale.magnitude * largest <= magnitude { continue }
            let place = block / step * format.valuesPerBlock
            guard scale.isFinite else { return (place, scale) }
            let values = Self.values(of: bytes.extracting(block..<block + step), format)
            if let index = values.firstIndex(where: { !($0.magnitude <= magnitude) }) {
                return (place + index, values[index])
            }
        }
        return nil
    }

    private static func values(of block: RawSpan, _ format: StoredFormat) -> [Float] {
        let units = stride(from: 0, to: block.byteCount, by: 2).map { offset in
            unsafe block.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self)
        }
        var values = [Float](repeating: 0, count: format.valuesPerBlock)
        var span = values.mutableSpan
        format.widen(units.span, into: &span, at: 0)
        return values
    }
}
