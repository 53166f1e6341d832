// A model in one or several .safetensors files, read slice by slice and digested on the way.
// All checks of names, shapes and layout are done before the first weight is read.
// SPDX-License-Identifier: Apache-2.0

/// Reads tensors; holds no weights, only a slice of halves while it widens them.
package struct SafetensorsModel: ModelSource, Sendable {
    package let configuration: GPT2Configuration
    private let files: [ReadOnlyFile]
    private var tensors: [String: StoredTensor]
    private var scratch: [UInt16] = []

    /// Elements read at once; 512 KiB of floats stay in a core's own cache until they are digested.
    package static let sliceCount = 1 << 17

    /// Opens the files, reads their headers and compares them with the configuration.
    package init(
        _ directory: ModelDirectory, configuration: GPT2Configuration
    ) throws(ModelFileError) {
        self.configuration = configuration
        let catalogue = try TensorCatalogue(directory)
        files = catalogue.files
        tensors = try catalogue.select(for: configuration)
        if configuration.tieWordEmbeddings {
            try checkTiedHead(catalogue.tensor(named: "lm_head.weight"), path: catalogue.path)
        }
    }

    package func shape(of name: String) -> [Int]? { tensors[name]?.shape }

    package func layout(of name: String) -> MatrixLayout { .inputRows }

    package mutating func read(
        _ name: String, rows: Range<Int>, into destination: inout MutableSpan<Float>
    ) throws(ModelFileError) {
        guard var tensor = tensors[name] else {
            preconditionFailure("\(name.quotedForMessage) is no tensor of this model")
        }
        precondition(
            rows.lowerBound >= 0 && rows.upperBound <= tensor.rowCount,
            "rows \(rows) of \(name), which has \(tensor.rowCount)")
        precondition(
            destination.count == rows.count * tensor.columnCount,
            "\(destination.count) floats for \(rows.count) rows of \(tensor.columnCount)")
        let first = rows.lowerBound * tensor.columnCount
        var done = 0
        while done < destination.count {
            let end = min(done + Self.sliceCount, destination.count)
            try read(tensor, from: first + done, into: &destination, at: done..<end)
            tensor.digest.update(destination.span.extracting(done..<end), from: first + done)
            done = end
        }
        tensors[name] = tensor
    }

    /// The digest of configuration and weights: equal models are equal in it whatever the element
    /// type, the cut into files and the prefix of names, as long as each float is the same.
    ///
    /// What `read` has passed on in order is digested already; the rest is read now.
    package mutating func contentDigest() throws(ModelFileError) -> ContentDigest {
        var digest = ContentDigest()
        configuration.update(&digest)
        for required in configuration.requiredTensors {
            digest.update(required.name)
            digest.update(required.shape.count)
            for size in required.shape { digest.update(size) }
            digest.update(try contentDigest(of: required.name))
        }
        return digest
    }

    private mutating func contentDigest(of name: String) throws(ModelFileError) -> ContentDigest {
        guard var tensor = tensors[name] else {
            preconditionFailure("\(name.quotedForMessage) is no tensor of this model")
        }
        if tensor.digest.count < tensor.elementCount {
            var floats = [Float](
                repeating: 0,
                count: min(Self.sliceCount, tensor.elementCount - tensor.digest.count))
            while tensor.digest.count < tensor.elementCount {
                let count = min(floats.count, tensor.elementCount - tensor.digest.count)
                let first = tensor.digest.count
                var slice = floats.mutableSpan
                try read(tensor, from: first, into: &slice, at: 0..<count)
                tensor.digest.update(slice.span.extracting(first: count), from: first)
            }
            tensors[name] = tensor
        }
        return tensor.digest.content
    }

    /// Reads at most `sliceCount` elements from `first` on, widened, into `range` of `floats`.
    private mutating func read(
        _ tensor: StoredTensor, from first: Int, into floats: inout MutableSpan<Float>,
        at range: Range<Int>
    ) throws(ModelFileError) {
        let file = files[tensor.file]
        let offset = tensor.range.lowerBound + first * tensor.element.byteCount
        if tensor.element == .float32 {
            try file.read(at: offset, into: &floats, range: range)
            return
        }
        if scratch.count < range.count {
            scratch = [UInt16](repeating: 0, count: Self.sliceCount)
        }
        var all = scratch.mutableSpan
        var bytes = all.mutableBytes
        try file.read(
            at: offset, into: &bytes, range: 0..<range.count * MemoryLayout<UInt16>.size)
        let halves = scratch.span.extracting(first: range.count)
        if tensor.element == .float16 {
            widen(halves: halves, into: &floats, at: range.lowerBound)
        } else {
            widen(bfloats: halves, into: &floats, at: range.lowerBound)
        }
    }

    /// A tied model may store its head twice, but not two different ones: transformers 4 would
    /// take the token table, transformers 5 the head.
    private mutating func checkTiedHead(
        _ head: StoredTensor?, path: String
    ) throws(ModelFileError) {
        guard let head, let table = tensors["wte.weight"] else { return }
        if head.shape == table.shape, head.element.isReadable {
            tensors["lm_head.weight"] = head
            let isSame =
                try contentDigest(of: "lm_head.weight") == contentDigest(of: "wte.weight")
            tensors["lm_head.weight"] = nil
            if isSame { return }
        }
        throw ModelFileError(
            .inconsistent, path: path,
            problem: "lm_head.weight differs from wte.weight although config.json ties them",
            remedy: "set tie_word_embeddings to false to use the head, or remove it from the file")
    }
}

extension GPT2Configuration {
    /// Everything that can change an answer; the sizes of tensors come with the tensors.
    func update(_ digest: inout ContentDigest) {
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
