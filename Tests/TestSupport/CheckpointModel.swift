// The models on the checkpoints' list: where their files and reference arrays are, read once a
// process. Running them is EngineRun.swift's business.
// SPDX-License-Identifier: Apache-2.0

import Foundation
package import LlorchEngine
import LlorchProtocol
import Synchronization

package final class CheckpointModel: Sendable {
    package let name: String
    /// Path of the model's directory.
    package let directory: String
    package let manifest: ReferenceManifest
    package let configuration: GPT2Configuration
    let runs = Mutex(EngineRuns())

    /// The names in `LLORCH_TEST_MODELS`, and the real models whose directories are named.
    ///
    /// A listed model whose files are missing fails its tests; nothing is skipped.
    package static let listed: [String] = {
        let environment = ProcessInfo.processInfo.environment
        let list = environment["LLORCH_TEST_MODELS"] ?? "tiny,shakespeare"
        let named = list.split(separator: ",").map { $0.filter { $0 != " " } }
        let real = directoryVariables.keys.sorted().filter {
            $0 != "base" && environment[directoryVariables[$0] ?? ""] != nil
        }
        return named + real.filter { !named.contains($0) }
    }()

    /// Models that are not in the repository, and the variables that name their directories.
    private static let directoryVariables = [
        "base": "LLORCH_BASE_DIR",
        "gpt2": "LLORCH_GPT2_DIR",
        "gpt2-medium": "LLORCH_GPT2_MEDIUM_DIR",
    ]

    package struct Missing: Error, CustomStringConvertible {
        package var description: String
    }

    private static let loaded = Mutex<[String: CheckpointModel]>([:])

    /// The model with that name, its files checked against the manifest of its reference arrays.
    package static func named(_ name: String) throws -> CheckpointModel {
        try loaded.withLock { models in
            if let model = models[name] { return model }
            let model = try CheckpointModel(name: name)
            models[name] = model
            return model
        }
    }

    private init(name: String) throws {
        self.name = name
        directory = try Self.directory(of: name).path
        let manifestURL = Self.fixtures(of: name).appending(path: "manifest.json")
        guard FileManager.default.fileExists(atPath: manifestURL.path) else {
            throw Missing(
                description:
                    "no reference arrays for \(name): run scripts/export-reference \(name), "
                    + "with --directory for a model that is not in the repository")
        }
        manifest = try ReferenceManifest(contentsOf: manifestURL)
        configuration = try ModelDirectory(path: directory).configuration()
        for (file, digest) in manifest.modelFiles {
            let url = URL(filePath: directory).appending(path: file)
            guard let bytes = try? Data(contentsOf: url, options: .alwaysMapped) else {
                throw Missing(
                    description: "model \(name) is on the list, but \(url.path) is missing")
            }
            guard SHA256.hexadecimal(of: bytes) == digest else {
                throw Missing(
                    description:
                        "\(url.path) is not the file that the reference arrays were made from: "
                        + "run scripts/export-reference \(name)")
            }
        }
    }

    /// The prompts, every one of which each checkpoint looks at.
    package var prompts: [ReferenceManifest.Prompt] { manifest.prompts }

    package func prompt(_ name: String) throws -> ReferenceManifest.Prompt {
        guard let prompt = manifest.prompts.first(where: { $0.name == name }) else {
            throw Missing(description: "the manifest of \(self.name) has no prompt \(name)")
        }
        return prompt
    }

    /// A reference array and what the manifest says of it.
    package struct Reference {
        package var entry: ReferenceManifest.Entry
        package var array: ReferenceArray
    }

    /// What is kept of one point: by each reference, for each prompt and layer; or by one fault.
    package func references(of point: String, fault: String? = nil) throws -> [Reference] {
        let entries = manifest.arrays.filter { $0.point == point && $0.fault == fault }
        guard !entries.isEmpty else {
            throw Missing(
                description: "no \(point)\(fault.map { " of fault \($0)" } ?? "") kept for \(name)")
        }
        return try entries.map { entry in
            let url = Self.fixtures(of: name).appending(path: entry.file)
            guard try SHA256.hexadecimal(of: Data(contentsOf: url)) == entry.sha256 else {
                throw Missing(
                    description: "\(url.path) is not the array that the manifest tells of")
            }
            let array = try ReferenceArray(contentsOf: url)
            guard array.shape == entry.shape else {
                throw Missing(description: "\(url.path): shape \(array.shape), not \(entry.shape)")
            }
            return Reference(entry: entry, array: array)
        }
    }

    /// One reference's array; Hugging Face's are kept of every model.
    package func reference(
        _ point: ObservationPoint, prompt: String, layer: Int? = nil,
        by name: String = "huggingface"
    ) throws -> Reference {
        let kept = try references(of: point.rawValue).first {
            $0.entry.reference == name && $0.entry.prompt == prompt
                && $0.entry.layer == layer
        }
        guard let kept else {
            throw Missing(
                description: "no \(point) of prompt \(prompt) kept by \(name) for \(self.name)")
        }
        return kept
    }

    private static let repository = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    private static func fixtures(of name: String) -> URL {
        repository.appending(path: "Tests/CheckpointTests/Fixtures/\(name)")
    }

    private static func directory(of name: String) throws -> URL {
        if let variable = directoryVariables[name] {
            guard let path = ProcessInfo.processInfo.environment[variable] else {
                throw Missing(
                    description: "model \(name) is on the list, but \(variable) is not set")
            }
            return URL(filePath: path)
        }
        return name == "tiny"
            ? fixtures(of: name).appending(path: "model")
            : repository.appending(path: "models/\(name)")
    }
}
