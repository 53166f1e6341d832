// The weights of a GGUF file, by the loader's names. The counterpart of SafetensorsModel.swift; all checks are done
// before the first weight is read. Reading: StoredTensor.swift.
// SPDX-License-Identifier: Apache-2.0

/// The weights of a GGUF file.
package struct GGUFModel: ModelSource, Sendable {
    package let configuration: GPT2Configuration
    private var tensors: StoredTensors

    /// Compares the tensors of the file with what its metadata demands.
    package init(_ gguf: GGUFFile) throws(ModelFileError) {
        configuration = try gguf.configuration()
        tensors = StoredTensors(try Self.select(from: gguf, for: configuration))
    }

    package func shape(of name: String) -> [Int]? { tensors.shape(of: name) }

    package func layout(of name: String) -> MatrixLayout { .outputRows }

    package func encoding(of name: String) -> ElementEncoding? { tensors.encoding(of: name) }

    package mutating func read(
        _ name: String, rows: Range<Int>, into destination: inout MutableSpan<Float>
    ) throws(ModelFileError) {
        try tensors.read(name, rows: rows, into: &destination)
    }

    package mutating func readStored(
        _ name: String, rows: Range<Int>, into destination: inout MutableRawSpan
    ) throws(ModelFileError) {
        try tensors.readStored(name, rows: rows, into: &destination)
    }

    /// The digest of configuration and weights: of floats, whatever their element type, and of blocks as
    /// they are stored.
    ///
    /// It is another one than of a safetensors file with the same floats: the digest takes them in the
    /// order of the file, and the matrices of the blocks lie the other way round here. To digest them in
    /// one order would take a second pass, or memory for a whole matrix.
    package mutating func contentDigest() throws(ModelFileError) -> ContentDigest {
        var digest = ContentDigest()
        digest.update("gguf")
        configuration.update(&digest)
        try tensors.update(&digest, for: configuration)
        return digest
    }

    /// Every tensor of the configuration under the loader's name, and nothing else.
    private static func select(
        from gguf: GGUFFile, for configuration: GPT2Configuration
    ) throws(ModelFileError) -> [String: StoredTensor] {
        var found: [String: GGUFHeader.Tensor] = [:]
        for tensor in gguf.header.tensors { found[tensor.name] = tensor }
        if configuration.tieWordEmbeddings { found["output.weight"] = nil }
        var selected: [String: StoredTensor] = [:]
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
            } else if tensor.element.encoding == nil {
                unreadable.append("\(name) has type \(tensor.element.name)")
            }
            selected[required.name] = tensor.element.encoding.map {
                StoredTensor(
                    file: gguf.file, encoding: $0, shape: tensor.shape, range: tensor.range)
            }
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
