// One tensor of an open file: read in slices, widened exactly, and digested on the way. Which tensors there are, and
// under which names: StoredModel.swift. Packing them: Model/GPT2Weights.swift.
// SPDX-License-Identifier: Apache-2.0

/// Where one tensor of the model is, and how much of it has been digested.
package struct StoredTensor: Sendable {
    let file: ModelFile
    /// As the file has it.
    let name: String
    let format: StoredFormat
    let shape: [Int]
    /// Bytes of the file.
    let range: Range<Int>
    private var digest = OrderedDigest()

    init(
        file: ModelFile, name: String, format: StoredFormat, shape: [Int], range: Range<Int>
    ) {
        self.file = file
        self.name = name
        self.format = format
        self.shape = shape
        self.range = range
    }

    var valueCount: Int { shape.reduce(1, *) }
    var rowCount: Int { shape.count == 2 ? shape[0] : 1 }
    var columnCount: Int { valueCount / rowCount }

    /// Stored bytes while they are widened; one is enough for all tensors of a model.
    struct Scratch: Sendable {
        fileprivate var units: [UInt16] = []
    }

    /// Values read at once: whole blocks of every format; 512 KiB of floats stay in a core's own cache until they
    /// are digested.
    package static let sliceCount = 1 << 17

    // MARK: - Rows

    /// Reads rows, widened.
    ///
    /// - Precondition: `rows` lie in the tensor, and `destination` holds exactly as many values.
    mutating func read(
        _ rows: Range<Int>, into destination: inout MutableSpan<Float>, _ scratch: inout Scratch
    ) throws(ModelFileError) {
        check(rows)
        precondition(
            destination.count == rows.count * columnCount,
            "\(destination.count) floats for \(rows.count) rows of \(columnCount)")
        let first = rows.lowerBound * columnCount
        var done = 0
        while done < destination.count {
            let end = min(done + Self.sliceCount, destination.count)
            try read(from: first + done, into: &destination, at: done..<end, &scratch)
            done = end
        }
    }

    /// Reads rows of blocks as they are stored into the front of `destination`.
    ///
    /// - Precondition: `rows` lie in the tensor and are whole blocks, and `destination` has room for them.
    mutating func readStored(
        _ rows: Range<Int>, into destination: inout MutableRawSpan
    ) throws(ModelFileError) {
        let rowBytes = format.byteCount(ofValues: columnCount)
        let byteCount = rows.count * rowBytes
        check(rows)
        precondition(
            destination.byteCount >= byteCount,
            "\(byteCount) bytes of rows into \(destination.byteCount)")
        let first = rows.lowerBound * rowBytes
        try file.read(at: range.lowerBound + first, into: &destination, range: 0..<byteCount)
        digest.update(bytes: destination.bytes.extracting(first: byteCount), from: first)
    }

    private func check(_ rows: Range<Int>) {
        precondition(
            rows.lowerBound >= 0 && rows.upperBound <= rowCount,
            "rows \(rows) of a tensor of \(rowCount)")
    }

    /// Reads at most `sliceCount` values from `first` on, both whole blocks, into `places` of `floats`.
    private mutating func read(
        from first: Int, into floats: inout MutableSpan<Float>, at places: Range<Int>,
        _ scratch: inout Scratch
    ) throws(ModelFileError) {
        let valueCount = format.valuesPerBlock
        precondition(
            first % valueCount == 0 && places.count % valueCount == 0,
            "\(places.count) values from \(first) on in blocks of \(valueCount)")
        let offset = format.byteCount(ofValues: first)
        if format == .float32 {
            try file.read(at: range.lowerBound + offset, into: &floats, range: places)
        } else {
            let unitCount = format.byteCount(ofValues: places.count) / 2
            if scratch.units.count < unitCount {
                scratch.units = [UInt16](repeating: 0, count: unitCount)
            }
            var all = scratch.units.mutableSpan
            var bytes = unsafe all.mutableBytes
            try file.read(at: range.lowerBound + offset, into: &bytes, range: 0..<unitCount * 2)
            let units = scratch.units.span.extracting(first: unitCount)
            format.widen(units, into: &floats, at: places.lowerBound)
            if format.isBlocks {
                unsafe digest.update(bytes: units.bytes, from: offset)
                return
            }
        }
        digest.update(floats.span.extracting(places), from: first)
    }

    /// Whether every value is one of bf16; stops at the first that is not.
    func holdsOnlyBF16(_ scratch: inout Scratch) throws(ModelFileError) -> Bool {
        if format == .bfloat16 { return true }
        // What is read here is not digested: the rows are read again in their order.
        var copy = self
        for first in stride(from: 0, to: valueCount, by: Self.sliceCount) {
            let count = min(Self.sliceCount, valueCount - first)
            var floats = [Float](repeating: 0, count: count)
            var span = floats.mutableSpan
            try copy.read(from: first, into: &span, at: 0..<count, &scratch)
            guard floats.allSatisfy({ $0.bitPattern & 0xFFFF == 0 }) else { return false }
        }
        return true
    }

    // MARK: - Digest

    /// The digest of the values as floats, whatever their format; of blocks, the digest of their bytes.
    ///
    /// What was read in order is digested already; the rest is read now.
    mutating func contentDigest(
        _ scratch: inout Scratch
    ) throws(ModelFileError) -> ContentDigest {
        if format.isBlocks { return try digestOfBytes() }
        var floats = [Float](repeating: 0, count: min(Self.sliceCount, valueCount - digest.count))
        while digest.count < valueCount {
            let count = min(floats.count, valueCount - digest.count)
            var slice = floats.mutableSpan
            try read(from: digest.count, into: &slice, at: 0..<count, &scratch)
        }
        return digest.content
    }

    private mutating func digestOfBytes() throws(ModelFileError) -> ContentDigest {
        // Blocks have an even number of bytes; the last unit may be filled up.
        let total = range.count.roundedUp(toMultipleOf: 4)
        var bytes = [UInt8](repeating: 0, count: min(Self.sliceCount, total - digest.count))
        while digest.count < total {
            let first = digest.count
            let count = min(bytes.count, range.count - first)
            for index in count..<min(bytes.count, total - first) { bytes[index] = 0 }
            var slice = bytes.mutableSpan
            var raw = unsafe slice.mutableBytes
            try file.read(at: range.lowerBound + first, into: &raw, range: 0..<count)
            let units = unsafe bytes.span.bytes.extracting(first: min(bytes.count, total - first))
            digest.update(bytes: units, from: first)
        }
        return digest.content
    }
}
