// A model in one or several .safetensors files, read slice by slice and digested on the way.
// All checks of names, shapes and layout are done before the first weight is read.
// SPDX-License-Identifier: Apache-2.0

/// The weights of a Hugging Face directory.
package struct SafetensorsModel: ModelSource, Sendable {
    package let configuration: GPT2Configuration
    private var tensors: StoredTensors

    /// Opens the files, reads their headers and compares them with the configuration.
    package init(
        _ directory: ModelDirectory, configuration: GPT2Configuration
    ) throws(ModelFileError) {
        self.configuration = configuration
        let catalogue = try TensorCatalogue(directory)
        tensors = StoredTensors(try catalogue.select(for: configuration))
        if configuration.tieWordEmbeddings {
            try checkTiedHead(catalogue.tensor(named: "lm_head.weight"), path: catalogue.path)
        }
    }

    package func shape(of name: String) -> [Int]? { tensors.shape(of: name) }

    package func layout(of name: String) -> MatrixLayout { .inputRows }

    package mutating func read(
        _ name: String, rows: Range<Int>, into destination: inout MutableSpan<Float>
    ) throws(ModelFileError) {
        try tensors.read(name, rows: rows, into: &destination)
    }

    /// The digest of configuration and weights: equal models are equal in it whatever the element
    /// type, the cut into files and the prefix of names, as long as each float is the same.
    ///
    /// What `read` has passed on in order is digested already; the rest is read now.
    package mutating func contentDigest() throws(ModelFileError) -> ContentDigest {
        var digest = ContentDigest()
        configuration.update(&digest)
        try tensors.update(&digest, for: configuration)
        return digest
    }

    /// A tied model may store its head twice, but not two different ones: transformers 4 would
    /// take the token table, transformers 5 the head.
    private mutating func checkTiedHead(
        _ head: CataloguedTensor?, path: String
    ) throws(ModelFileError) {
        guard let head else { return }
        if head.entry.shape == shape(of: "wte.weight"), let stored = head.stored,
            try tensors.are(stored, sameAs: "wte.weight")
        {
            return
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
