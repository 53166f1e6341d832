// A model directory or a GGUF file made ready to run: weights packed, tokenizer read, facts known.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

/// Everything that a job needs and does not change.
package struct LoadedModel: Sendable {
    package let model: GPT2
    package let tokenizer: Tokenizer
    package let facts: ModelFacts
    /// Why the weights are held in the precision that `facts` names; half a sentence.
    package let precisionReason: String

    /// Reads the model; checks come before the first weight is read.
    ///
    /// - Parameters:
    ///   - path: a Hugging Face directory, or a GGUF file.
    ///   - precision: of the weights in memory, or `auto`.
    ///   - kernels: the instruction-set level.
    ///   - progress: called with the fraction read; an error it throws ends the loading.
    /// - Throws: `ModelFileError`, `TokenizerError`, or what `progress` throws.
    package init(
        path: String, precision: PrecisionChoice, kernels: Kernels,
        progress: (Double) throws -> Void = { _ in }
    ) throws {
        if try ModelFile.isFile(at: path) {
            let file = try GGUFFile(path: path)
            try self.init(
                reading: StoredModel(file), tokenizer: Tokenizer(file), name: file.name, path: path,
                tokenizerKind: "gguf-bpe", precision: precision, kernels: kernels,
                progress: progress, updateWithTokenizer: file.updateWithTokenizer)
        } else {
            let directory = try ModelDirectory(path: path)
            let source = try StoredModel(directory, configuration: directory.configuration())
            let files = try TokenizerFiles(directory: path)
            try self.init(
                reading: source, tokenizer: Tokenizer(files), name: directory.name, path: path,
                tokenizerKind: "hf-json", precision: precision, kernels: kernels,
                progress: progress, updateWithTokenizer: files.update)
        }
    }

    // `updateWithTokenizer` adds to a digest what `tokenizer` was made of.
    private init(
        reading source: StoredModel, tokenizer: Tokenizer, name: String, path: String,
        tokenizerKind: String, precision choice: PrecisionChoice, kernels: Kernels,
        progress: (Double) throws -> Void, updateWithTokenizer: (inout ContentDigest) -> Void
    ) throws {
        let configuration = source.configuration
        // Added tokens may lie beyond the table: they can be in no answer, and a prompt with one is refused.
        guard tokenizer.unaddedCount <= configuration.vocabularySize else {
            throw ModelFileError(
                .inconsistent, path: path,
                problem: "the tokenizer has \(tokenizer.unaddedCount) entries, "
                    + "the token table has \(configuration.vocabularySize) rows",
                remedy: "take the tokenizer that belongs to this model")
        }
        var source = source
        let chosen = try source.precision(choice)
        let model = try GPT2(
            reading: &source, precision: chosen.precision, kernels: kernels, progress: progress)
        var digest = try source.contentDigest()
        updateWithTokenizer(&digest)
        tokenizer.update(&digest)
        self.model = model
        self.tokenizer = tokenizer
        precisionReason = chosen.reason
        facts = ModelFacts(
            name: name, digest: digest.hexadecimal,
            precision: chosen.precision.rawValue, contextLength: configuration.contextLength,
            vocabularySize: configuration.vocabularySize,
            memoryBytes: UInt64(model.weightByteCount), tokenizerKind: tokenizerKind)
    }

    /// Ids that end a text.
    ///
    /// A GGUF file's own `<|endoftext|>` is among them: ModelFile/GGUF/GGUFMarks.swift.
    package var endOfText: [UInt32] { model.configuration.endOfText.map { UInt32($0) } }

    /// The number of tokens that can be in a prompt or an answer: those that have a row in the token table.
    package var tokenCount: Int {
        min(tokenizer.vocabularySize, model.configuration.vocabularySize)
    }
}
