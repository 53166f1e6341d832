// A model and its tokenizer are what their digest says, also where a file is replaced while the model is loaded.
// SPDX-License-Identifier: Apache-2.0

import Foundation
import LlorchEngine
import LlorchProtocol
import TestSupport
import Testing

@Suite struct LoadedModelTests {
    private static let kernels = Kernels.generic
    private static let repository = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// The demo model, with a tokenizer of one form only.
    private static func directory(with names: [String]) throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory()
        let model = repository.appending(path: "models/shakespeare")
        for name in ["config.json", "model.safetensors"] + names {
            let bytes = try Data(contentsOf: model.appending(path: name))
            try directory.write(Array(bytes), to: name)
        }
        return directory
    }

    /// The tokenizer is read before the weights, and everything that is told of it comes from that one reading.
    @Test(arguments: [["vocab.json", "merges.txt"], ["tokenizer.json"]])
    func theTokenizerIsReadOnce(names: [String]) throws {
        let directory = try Self.directory(with: names)
        let whole = try LoadedModel(path: directory.path, precision: .f32, kernels: Self.kernels)
        var isReplaced = false
        let loaded = try LoadedModel(
            path: directory.path, precision: .f32, kernels: Self.kernels
        ) { _ in
            if isReplaced { return }
            for name in names { try directory.overwrite(Array("{}".utf8), in: name) }
            isReplaced = true
        }
        #expect(isReplaced)
        #expect(loaded.facts.digest == whole.facts.digest)
        let text = "To be, or not to be"
        #expect(loaded.tokenizer.tokenize(text) == whole.tokenizer.tokenize(text))
        #expect(throws: TokenizerError.self) { try Tokenizer(directory: directory.path) }
    }

    /// Another tokenizer is another model, although its weights are the same.
    @Test func theDigestCoversTheTokenizer() throws {
        let names = ["vocab.json", "merges.txt"]
        let directory = try Self.directory(with: names)
        let before = try LoadedModel(path: directory.path, precision: .f32, kernels: Self.kernels)
        let merges = try Data(contentsOf: directory.url.appending(path: "merges.txt"))
        try directory.write(Array(merges) + Array("\n".utf8), to: "merges.txt")
        let after = try LoadedModel(path: directory.path, precision: .f32, kernels: Self.kernels)
        #expect(before.facts.digest != after.facts.digest)
    }
}
