// The weights of a GGUF file, read slice by slice, widened exactly and digested on the way. The
// counterpart of SafetensorsModel.swift; all checks are done before the first weight is read.
// SPDX-License-Identifier: Apache-2.0

/// Reads tensors; holds no weights, only a slice of stored blocks while it widens them.
package struct GGUFModel: ModelSource, Sendable {
    package let configuration: GPT2Configuration
    private let file: ReadOnlyFile
    private var tensors: [String: Stored]
    private var scratch: [UInt16] = []

    /// One tensor, and how much of it has been digested.
    private struct Stored {
        var tensor: GGUFHeader.Tensor
        var digest = OrderedDigest()

        var valueCount: Int { tensor.shape.reduce(1, *) }
        var rowCount: Int { tensor.shape.count == 2 ? tensor.shape[0] : 1 }
        var columnCount: Int { valueCount / rowCount }
    }

    /// Values read at once: whole blocks of every kind, half a megabyte of floats.
    package static let sliceCount = 1 << 17

    /// Compares the tensors of the file with what its metadata demands.
    package init(_ gguf: GGUFFile) throws(ModelFileError) {
        configuration = try gguf.configuration()
        file = gguf.file
        tensors = try Self.select(from: gguf, for: configuration)
    }

    package func shape(of name: String) -> [Int]? { tensors[name]?.tensor.shape }

    package func layout(of name: String) -> MatrixLayout { .outputRows }

    package mutating func read(
        _ name: String, rows: Range<Int>, into destination: inout MutableSpan<Float>
    ) throws(ModelFileError) {
        guard var stored = tensors[name] else {
            preconditionFailure("\(name.quotedForMessage) is no tensor of this model")
        }
        precondition(
            rows.lowerBound >= 0 && rows.upperBound <= stored.rowCount,
            "rows \(rows) of \(name), which has \(stored.rowCount)")
        precondition(
            destination.count == rows.count * stored.columnCount,
            "\(destination.count) floats for \(rows.count) rows of \(stored.columnCount)")
        let first = rows.lowerBound * stored.columnCount
        var done = 0
        while done < destination.count {
            let end = min(done + Self.sliceCount, destination.count)
            try read(stored.tensor, from: first + done, into: &destination, at: done..<end)
            stored.digest.update(destination.span.extracting(done..<end), from: first + done)
            done = end
        }
        tensors[name] = stored
    }

    /// The digest of configuration and weights, whatever the element type, as long as each float is the
    /// same.
    ///
    /// It is another one than of a safetensors file with the same floats: the digest takes floats in
    /// the order of the file, and the matrices of the blocks lie the other way round here. To digest
    /// them in one order would take a second pass, or memory for a whole matrix.
    package mutating func contentDigest() throws(ModelFileError) -> ContentDigest {
        var digest = ContentDigest()
        digest.update("gguf")
        configuration.update(&digest)
        for required in configuration.requiredTensors.map(\.name) {
            guard let shape = shape(of: required) else { continue }
            digest.update(required)
            digest.update(shape.count)
            for size in shape { digest.update(size) }
            digest.update(try contentDigest(of: required))
        }
        return digest
    }

    private mutating func contentDigest(of name: String) throws(ModelFileError) -> ContentDigest {
        guard var stored = tensors[name] else {
            preconditionFailure("\(name.quotedForMessage) is no tensor of this model")
        }
        let total = stored.valueCount
        if stored.digest.count < total {
            var floats = [Float](
                repeating: 0, count: min(Self.sliceCount, total - stored.digest.count))
            while stored.digest.count < total {
                // Rows and slices are whole blocks, so that a block is never half digested.
                let first = stored.digest.count
                let count = min(floats.count, total - first)
                var slice = floats.mutableSpan
                try read(stored.tensor, from: first, into: &slice, at: 0..<count)
                stored.digest.update(slice.span.extracting(first: count), from: first)
            }
            tensors[name] = stored
        }
        return stored.digest.content
    }

    /// Reads at most `sliceCount` values from `first` on, both whole blocks, into `range` of `floats`.
    private mutating func read(
        _ tensor: GGUFHeader.Tensor, from first: Int, into floats: inout MutableSpan<Float>,
        at range: Range<Int>
    ) throws(ModelFileError) {
        let (file, (valueCount, byteCount)) = (file, tensor.element.block)
        precondition(
            first % valueCount == 0 && range.count % valueCount == 0,
            "\(range.count) values from \(first) on in blocks of \(valueCount)")
        let offset = tensor.range.lowerBound + first / valueCount * byteCount
        if tensor.element == .float32 {
            try file.read(at: offset, into: &floats, range: range)
            return
        }
        let unitCount = range.count / valueCount * byteCount / 2
        if scratch.count < unitCount { scratch = [UInt16](repeating: 0, count: unitCount) }
        var all = scratch.mutableSpan
        var bytes = all.mutableBytes
        try file.read(at: offset, into: &bytes, range: 0..<unitCount * 2)
        tensor.element.widen(
            scratch.span.extracting(first: unitCount), into: &floats, at: range.lowerBound)
    }

    /// Every tensor of the configuration under the loader's name, and nothing else.
    private static func select(
        from gguf: GGUFFile, for configuration: GPT2Configuration
    ) throws(ModelFileError) -> [String: Stored] {
        var found: [String: GGUFHeader.Tensor] = [:]
        for tensor in gguf.header.tensors { found[tensor.name] = tensor }
        if configuration.tieWordEmbeddings { found["output.weight"] = nil }
        var selected: [String: Stored] = [:]
        var problems: [String] = []
        var unreadable: [String] = []
        for required in configuration.requiredTensors {
            let (name, shape) = (required.inGGUF.name, required.inGGUF.shape)
            guard let tensor = found.removeValue(forKey: name) else {
                problems.append("\(name) is missing, expected shape \(shape)")
                continue
            }
            if tensor.shape != shape {
                problems.append("\(name) has shape \(tensor.shape), expected \(shape)")
            } else if !tensor.element.isReadable {
                unreadable.append("\(name) has type \(tensor.element.name)")
            }
            selected[required.name] = Stored(tensor: tensor)
        }
        problems += found.keys.sorted().map { "\($0.quotedForMessage) is there" }
        guard problems.isEmpty else {
            throw gguf.error(
                .inconsistent,
                "does not fit its metadata (\(configuration.layerCount) blocks): "
                    + list(problems) + ", rows first", remedy: GGUFFile.convertAgain)
        }
        guard unreadable.isEmpty else {
            throw gguf.error(
                .unsupported, "\(list(unreadable)); expected \(GGUFFile.readableNames)",
                remedy: GGUFFile.quantizeAgain)
        }
        return selected
    }

    private static func list(_ problems: [String]) -> String {
        let list = problems.prefix(5).joined(separator: ", ")
        return problems.count > 5 ? list + ", and \(problems.count - 5) more" : list
    }
}
