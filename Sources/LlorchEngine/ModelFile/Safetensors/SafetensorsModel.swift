// The weights of a Hugging Face directory, in one or several .safetensors files. All checks of names, shapes and
// layout are done before the first weight is read. Reading: ModelFile/StoredModel.swift.
// SPDX-License-Identifier: Apache-2.0

extension StoredModel {
    /// Opens the files, reads their headers and compares them with the configuration.
    package init(
        _ directory: ModelDirectory, configuration: GPT2Configuration
    ) throws(ModelFileError) {
        var catalogue = try TensorCatalogue(directory)
        if configuration.tieWordEmbeddings { catalogue.useHeadAsTable() }
        self.init(
            configuration, tensors: try catalogue.select(for: configuration), layout: .inputRows)
        if configuration.tieWordEmbeddings {
            try checkTiedHead(catalogue.tensor(named: "lm_head.weight"), path: catalogue.path)
        }
    }

    /// A tied model may store its head twice, but not two different ones: transformers 4 would
    /// take the token table, transformers 5 the head.
    private mutating func checkTiedHead(
        _ head: CataloguedTensor?, path: String
    ) throws(ModelFileError) {
        guard let head else { return }
        if head.entry.shape == shape(of: "wte.weight"), let stored = head.stored,
            try holds(stored, as: "wte.weight")
        {
            return
        }
        throw ModelFileError(
            .inconsistent, path: path,
            problem: "lm_head.weight differs from wte.weight although config.json ties them",
            remedy: "set tie_word_embeddings to false to use the head, or remove it from the file")
    }
}
