// The weights of a model in its files, by the loader's names: read slice by slice, and digested on the way. Which
// tensors of which file these are: Safetensors/SafetensorsModel.swift and GGUF/GGUFModel.swift, which also check them.
// SPDX-License-Identifier: Apache-2.0

/// Reads tensors that were found to be there; holds no weights, only a slice while it widens them.
package struct StoredModel: TensorSource, Sendable {
    package let configuration: GPT2Configuration
    private let layout: MatrixLayout
    private var tensors: [String: StoredTensor]
    private var scratch = StoredTensor.Scratch()

    /// - Parameters:
    ///   - configuration: the sizes, which the tensors were found to have.
    ///   - tensors: every tensor that the configuration demands, by the loader's name.
    ///   - layout: how the matrices of the blocks are stored; it depends on the format of the file.
    init(
        _ configuration: GPT2Configuration, tensors: [String: StoredTensor], layout: MatrixLayout
    ) {
        self.configuration = configuration
        self.tensors = tensors
        self.layout = layout
    }

    package func shape(of name: String) -> [Int]? { tensors[name]?.shape }

    package func layout(of name: String) -> MatrixLayout { layout }

    package func format(of name: String) -> StoredFormat? { tensors[name]?.format }

    package func origin(of name: String) -> (path: String, name: String) {
        let tensor = tensor(name)
        return (tensor.file.path, tensor.name)
    }

    package mutating func read(
        _ name: String, rows: Range<Int>, into destination: inout MutableSpan<Float>
    ) throws(ModelFileError) {
        var tensor = tensor(name)
        try tensor.read(rows, into: &destination, &scratch)
        tensors[name] = tensor
    }

    package mutating func readStored(
        _ name: String, rows: Range<Int>, into destination: inout MutableRawSpan
    ) throws(ModelFileError) {
        var tensor = tensor(name)
        try tensor.readStored(rows, into: &destination)
        tensors[name] = tensor
    }

    /// Whether every value of a tensor is one of bf16.
    mutating func holdsOnlyBF16(_ name: String) throws(ModelFileError) -> Bool {
        try tensor(name).holdsOnlyBF16(&scratch)
    }

    // MARK: - Digest

    /// The digest of configuration and weights: of floats, whatever their format, the cut into files and the prefix
    /// of names; of blocks as they are stored.
    ///
    /// A GGUF file has another digest than a safetensors file with the same floats: the digest takes floats in the
    /// order of the file, and the matrices of the blocks lie the other way round in GGUF. To digest them in one
    /// order would take a second pass, or memory for a whole matrix.
    ///
    /// What `read` has passed on in order is digested already; the rest is read now.
    package mutating func contentDigest() throws(ModelFileError) -> ContentDigest {
        var digest = ContentDigest()
        if layout == .outputRows { digest.update("gguf") }
        configuration.update(&digest)
        for name in configuration.requiredTensors.map(\.name) {
            let shape = tensor(name).shape
            digest.update(name)
            digest.update(shape.count)
            for size in shape { digest.update(size) }
            digest.update(try contentDigest(of: name))
        }
        return digest
    }

    /// Whether a tensor outside holds the same values as one of these.
    mutating func holds(
        _ other: StoredTensor, as name: String
    ) throws(ModelFileError) -> Bool {
        var other = other
        return try other.contentDigest(&scratch) == contentDigest(of: name)
    }

    private mutating func contentDigest(of name: String) throws(ModelFileError) -> ContentDigest {
        var tensor = tensor(name)
        let digest = try tensor.contentDigest(&scratch)
        tensors[name] = tensor
        return digest
    }

    private func tensor(_ name: String) -> StoredTensor {
        guard let tensor = tensors[name] else {
            preconditionFailure("\(name.quotedForMessage) is no tensor of this model")
        }
        return tensor
    }
}

extension GPT2Configuration {
    /// Everything that can change an answer; the sizes of tensors come with the tensors.
    fileprivate func update(_ digest: inout ContentDigest) {
        digest.update("llorch gpt2 1")
        digest.update(layerCount)
        digest.update(headCount)
        digest.update(UInt64(layerNormEpsilon.bitPattern))
        digest.update(activation.rawValue)
        digest.update(tieWordEmbeddings ? 1 : 0)
        digest.update(scaleAttentionWeights ? 1 : 0)
        digest.update(scaleAttentionByInverseLayerIndex ? 1 : 0)
        digest.update(endOfText.count)
        for id in endOfText { digest.update(id) }
    }
}
