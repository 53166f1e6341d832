// The tensors of a model by the loader's names, read and digested; what both formats of files have in common.
// SPDX-License-Identifier: Apache-2.0

/// Reads tensors that were found to be there; holds no weights, only a slice while it widens them.
struct StoredTensors: Sendable {
    private var tensors: [String: StoredTensor]
    private var scratch = StoredTensor.Scratch()

    init(_ tensors: [String: StoredTensor]) {
        self.tensors = tensors
    }

    func shape(of name: String) -> [Int]? { tensors[name]?.shape }

    func encoding(of name: String) -> ElementEncoding? { tensors[name]?.encoding }

    mutating func read(
        _ name: String, rows: Range<Int>, into destination: inout MutableSpan<Float>
    ) throws(ModelFileError) {
        var tensor = tensor(name)
        try tensor.read(rows, into: &destination, &scratch)
        tensors[name] = tensor
    }

    mutating func readStored(
        _ name: String, rows: Range<Int>, into destination: inout MutableRawSpan
    ) throws(ModelFileError) {
        var tensor = tensor(name)
        try tensor.readStored(rows, into: &destination)
        tensors[name] = tensor
    }

    /// Whether a tensor outside holds the same values as one of these.
    mutating func are(
        _ other: StoredTensor, sameAs name: String
    ) throws(ModelFileError) -> Bool {
        var other = other
        return try other.contentDigest(&scratch) == contentDigest(of: name)
    }

    /// Adds the tensors that the configuration demands, in its order, to a digest.
    mutating func update(
        _ digest: inout ContentDigest, for configuration: GPT2Configuration
    ) throws(ModelFileError) {
        for name in configuration.requiredTensors.map(\.name) {
            let shape = tensor(name).shape
            digest.update(name)
            digest.update(shape.count)
            for size in shape { digest.update(size) }
            digest.update(try contentDigest(of: name))
        }
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
