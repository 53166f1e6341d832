// What a person may name instead of a model directory, and what they are told.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import TestSupport
import Testing

struct ModelDirectoryTests {
    @Test func findsTheFiles() throws {
        let directory = try TemporaryDirectory()
        try writer.write(to: directory)
        let opened = try ModelDirectory(path: directory.path + "//")
        #expect(opened.path == directory.path)
        #expect(opened.weights == .single("\(directory.path)/model.safetensors"))
        #expect(opened.name == directory.path.split(separator: "/").last.map(String.init))
        #expect(try opened.configuration() == writer.configuration)
    }

    @Test func saysWhatStandsThereInstead() throws {
        let directory = try TemporaryDirectory()
        let naming = "name the directory that holds config.json and model.safetensors"
        #expect(refusal(directory, "/absent") == "/absent: does not exist; \(naming)")
        try directory.write("x", to: "file")
        #expect(refusal(directory, "/file") == "/file: is a file, expected a directory; \(naming)")
        #expect(refusal(directory, "/file/x") == "/file/x: does not exist; \(naming)")
        #expect(
            refusal(directory, "/")
                == ": has neither model.safetensors nor model.safetensors.index.json; "
                + "name the directory of a Hugging Face model")
        try directory.write("GGUF", to: "gpt2.Q8_0.gguf")
        let gguf =
            "/gpt2.Q8_0.gguf: is a GGUF file, which is a model by itself; name this file as the "
            + "model, not its directory"
        #expect(refusal(directory, "/gpt2.Q8_0.gguf") == gguf)
        #expect(refusal(directory, "") == gguf)
        try directory.remove("gpt2.Q8_0.gguf")
        try directory.write("PK", to: "pytorch_model.bin")
        #expect(
            refusal(directory, "")?.hasPrefix(
                "/pytorch_model.bin: is a PyTorch checkpoint, which is not supported yet; "
                    + "convert it: python3 -c") == true)
    }

    @Test func saysWhatIsWrongWithConfigJSON() throws {
        let directory = try TemporaryDirectory()
        try writer.write(to: directory)
        try directory.remove("config.json")
        #expect(
            refusal(directory, "")
                == ": has no config.json; copy the one that came with the weights there")
        try directory.makeDirectory("config.json")
        #expect(refusal(directory, "") == "/config.json: is a directory, expected a file")
        try directory.remove("config.json")
        try directory.write("version https://git-lfs.github.com/spec/v1\n", to: "config.json")
        #expect(
            refusal(directory, "")
                == "/config.json: is a Git LFS pointer, not the file itself; "
                + "run `git lfs install && git lfs pull` in the repository it came from")
        try directory.write(Array(repeating: 0x20, count: 1 << 20 + 1), to: "config.json")
        #expect(
            refusal(directory, "")
                == "/config.json: has 1048577 bytes, expected at most 1048576")
    }

    @Test func doesNotHangAtANamedPipe() throws {
        let directory = try TemporaryDirectory()
        try writer.write(to: directory)
        try directory.remove("model.safetensors")
        try directory.makeNamedPipe("model.safetensors")
        #expect(refusal(directory, "") == "/model.safetensors: is not a regular file")
    }

    /// The superuser may read everything, so the sentence is taken from a link to itself.
    @Test func saysWhyOpeningFails() throws {
        let directory = try TemporaryDirectory()
        try writer.write(to: directory)
        try directory.remove("model.safetensors")
        try directory.makeLink("model.safetensors", to: "model.safetensors")
        #expect(
            refusal(directory, "")
                == "/model.safetensors: cannot be opened: Too many levels of symbolic links")
    }

    private let writer = ModelWriter(
        GPT2Configuration(
            vocabularySize: 5, contextLength: 4, hiddenSize: 2, layerCount: 1, headCount: 1))

    private func refusal(_ directory: TemporaryDirectory, _ place: String) -> String? {
        let error = #expect(throws: ModelFileError.self) {
            let opened = try ModelDirectory(path: directory.path + place)
            _ = try StoredModel(opened, configuration: opened.configuration())
        }
        return error?.description.replacing(directory.path, with: "")
    }
}
