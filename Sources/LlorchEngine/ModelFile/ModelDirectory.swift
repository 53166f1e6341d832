// A model as Hugging Face lays it out: config.json, weights, tokenizer. Says which file is which;
// reading them: ConfigurationFile.swift, SafetensorsModel.swift, the folder Tokenizer.
// SPDX-License-Identifier: Apache-2.0

/// The files of one model directory.
package struct ModelDirectory: Sendable, Hashable {
    package enum Weights: Sendable, Hashable {
        /// Path of the one file.
        case single(String)
        /// Path of the index beside several files.
        case sharded(index: String)

        /// What messages about the whole of the weights name.
        package var path: String {
            switch self {
            case .single(let path): path
            case .sharded(let index): index
            }
        }
    }

    package enum TokenizerFiles: Sendable, Hashable {
        case vocabularyAndMerges(vocabulary: String, merges: String)
        /// `tokenizer.json`, which holds both.
        case combined(String)

        package var paths: [String] {
            switch self {
            case .vocabularyAndMerges(let vocabulary, let merges): [vocabulary, merges]
            case .combined(let path): [path]
            }
        }
    }

    /// As the caller wrote it, without slashes at the end.
    package let path: String
    package let weights: Weights

    /// The last component of the path.
    package var name: String {
        path.split(separator: "/").last.map(String.init) ?? path
    }

    /// Looks for the weights; nothing is read yet.
    package init(path: String) throws(ModelFileError) {
        var directory = Substring(path)
        while directory.count > 1, directory.hasSuffix("/") { directory.removeLast() }
        self.path = String(directory)
        let expectation = "name the directory that holds config.json and model.safetensors"
        switch try PathKind(path: self.path) {
        case .directory: break
        case .nothing:
            throw ModelFileError(
                .missing, path: self.path, problem: "does not exist", remedy: expectation)
        case .file, .other:
            if let mistaken = MistakenFile(fileName: self.path) {
                throw mistaken.error(path: self.path)
            }
            throw ModelFileError(
                .unsupported, path: self.path, problem: "is a file, expected a directory",
                remedy: expectation)
        }
        weights = try Self.weights(in: self.path)
        guard try PathKind(path: "\(self.path)/config.json") != .nothing else {
            throw ModelFileError(
                .missing, path: self.path, problem: "has no config.json",
                remedy: "copy the one that came with the weights there")
        }
    }

    private static func weights(in directory: String) throws(ModelFileError) -> Weights {
        let single = "\(directory)/model.safetensors"
        if try PathKind(path: single) != .nothing { return .single(single) }
        let index = "\(directory)/model.safetensors.index.json"
        if try PathKind(path: index) != .nothing { return .sharded(index: index) }
        for name in try fileNames(in: directory) {
            if let mistaken = MistakenFile(fileName: name) {
                throw mistaken.error(path: "\(directory)/\(name)")
            }
        }
        throw ModelFileError(
            .missing, path: directory,
            problem: "has neither model.safetensors nor model.safetensors.index.json",
            remedy: "name the directory of a Hugging Face model")
    }

    /// Reads config.json.
    package func configuration() throws(ModelFileError) -> GPT2Configuration {
        let file = "\(path)/config.json"
        let bytes = try ReadOnlyFile.contents(of: file, limit: 1 << 20)
        try Self.checkIsNotMistaken(bytes, path: file)
        return try GPT2Configuration(parsing: bytes.span, path: file)
    }

    /// The pair is preferred to `tokenizer.json`, which may hold settings of other tokenizers.
    package func tokenizerFiles() throws(ModelFileError) -> TokenizerFiles {
        let vocabulary = "\(path)/vocab.json"
        let merges = "\(path)/merges.txt"
        let combined = "\(path)/tokenizer.json"
        let hasVocabulary = try PathKind(path: vocabulary) != .nothing
        let hasMerges = try PathKind(path: merges) != .nothing
        if hasVocabulary, hasMerges {
            return .vocabularyAndMerges(vocabulary: vocabulary, merges: merges)
        }
        if try PathKind(path: combined) != .nothing { return .combined(combined) }
        let found = hasVocabulary ? "vocab.json only" : hasMerges ? "merges.txt only" : "none"
        throw ModelFileError(
            .missing, path: path,
            problem: "must have vocab.json and merges.txt, or tokenizer.json, found \(found)",
            remedy: "copy the tokenizer files that came with the model there")
    }

    /// Text files of a repository that was cloned without Git LFS are pointers.
    package static func checkIsNotMistaken(
        _ bytes: [UInt8], path: String
    ) throws(ModelFileError) {
        let prefix = bytes.span.extracting(first: 8)
        if let mistaken = MistakenFile(prefix: prefix) { throw mistaken.error(path: path) }
    }
}
