// A model as Hugging Face lays it out: config.json and weights. Says which file is which; reading them:
// ConfigurationFile.swift and SafetensorsModel.swift. The tokenizer beside them: Tokenizer/TokenizerFiles.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchSystem

/// The files of one model directory.
package struct ModelDirectory: Sendable, Hashable {
    package enum Weights: Sendable, Hashable {
        /// Path of the one file.
        case single(String)
        /// Path of the index beside several files.
        case sharded(index: String)

        /// The path that messages about all weights together name.
        package var path: String {
            switch self {
            case .single(let path): path
            case .sharded(let index): index
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
        switch try ModelFile.kind(of: self.path) {
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
        guard try ModelFile.kind(of: "\(self.path)/adapter_config.json") == .nothing else {
            throw ModelFileError(
                .unsupported, path: "\(self.path)/adapter_config.json",
                problem: "says that the directory holds an adapter, which is not supported",
                remedy: "merge it into its model with PEFT's merge_and_unload() and save that")
        }
        weights = try Self.weights(in: self.path)
        guard try ModelFile.kind(of: "\(self.path)/config.json") != .nothing else {
            throw ModelFileError(
                .missing, path: self.path, problem: "has no config.json",
                remedy: "copy the one that came with the weights there")
        }
    }

    private static func weights(in directory: String) throws(ModelFileError) -> Weights {
        let single = "\(directory)/model.safetensors"
        if try ModelFile.kind(of: single) != .nothing { return .single(single) }
        let index = "\(directory)/model.safetensors.index.json"
        if try ModelFile.kind(of: index) != .nothing { return .sharded(index: index) }
        for name in try ModelFile.names(in: directory) {
            if let mistaken = MistakenFile(fileName: name) {
                throw mistaken.error(path: "\(directory)/\(name)")
            }
        }
        throw ModelFileError(
            .missing, path: directory,
            problem: "has neither model.safetensors nor model.safetensors.index.json",
            remedy: "name the directory of a Hugging Face model")
    }

    /// Reads config.json, and generation_config.json where it is there.
    package func configuration() throws(ModelFileError) -> GPT2Configuration {
        let file = "\(path)/config.json"
        let bytes = try ModelFile.contents(of: file, limit: 1 << 20)
        try Self.checkIsNotMistaken(bytes, path: file)
        let generation = "\(path)/generation_config.json"
        guard try ModelFile.kind(of: generation) != .nothing else {
            return try GPT2Configuration(parsing: bytes.span, path: file)
        }
        let steering = try ModelFile.contents(of: generation, limit: 1 << 20)
        try Self.checkIsNotMistaken(steering, path: generation)
        return try GPT2Configuration(
            parsing: bytes.span, path: file, generation: (steering, generation))
    }

    /// Text files of a repository that was cloned without Git LFS are pointers.
    package static func checkIsNotMistaken(
        _ bytes: [UInt8], path: String
    ) throws(ModelFileError) {
        let prefix = bytes.span.extracting(first: 8)
        if let mistaken = MistakenFile(prefix: prefix) { throw mistaken.error(path: path) }
    }
}
