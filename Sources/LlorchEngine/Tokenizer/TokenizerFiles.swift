// Finds the tokenizer in a model's directory and reads it, once: what is parsed and what is digested are the same
// bytes, also if a file is replaced meanwhile. Parsing: TokenizerParts+parsing.swift. A GGUF file is its own
// tokenizer: ModelFile/GGUF/GGUFVocabulary.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON
import LlorchSystem

/// The files of one tokenizer with all their bytes.
package struct TokenizerFiles: Sendable {
    package enum Form: Sendable, Hashable {
        /// `vocab.json` and `merges.txt`.
        case vocabularyAndMerges(vocabulary: [UInt8], merges: [UInt8])
        /// `tokenizer.json`, which holds both.
        case combined([UInt8])
    }

    package let form: Form
    /// What the files beside the vocabulary say.
    package let settings: TokenizerSettings

    /// GPT-2's largest file is 1.4 MB.
    static let maximumBytes = 64 << 20

    /// Reads the files of a directory.
    ///
    /// `tokenizer.json` is preferred to the pair, as transformers prefers it.
    package init(directory: String) throws(TokenizerError) {
        let prefix = directory.hasSuffix("/") ? directory : directory + "/"
        if let json = try Self.bytes(ifPresentAt: prefix + "tokenizer.json") {
            form = .combined(json)
        } else {
            let vocabulary = try Self.bytes(ifPresentAt: prefix + "vocab.json")
            let merges = try Self.bytes(ifPresentAt: prefix + "merges.txt")
            guard let vocabulary, let merges else {
                throw .missingFiles(
                    directory: directory,
                    found: vocabulary != nil
                        ? "vocab.json only" : merges != nil ? "merges.txt only" : "none")
            }
            form = .vocabularyAndMerges(vocabulary: vocabulary, merges: merges)
        }
        settings = try TokenizerSettings(
            configuration: Self.object(in: prefix, "tokenizer_config.json"),
            map: Self.object(in: prefix, "special_tokens_map.json"),
            added: Self.object(in: prefix, "added_tokens.json"),
            model: Self.object(in: prefix, "config.json"))
    }

    /// The members of a file beside the vocabulary; none where there is no such file.
    private static func object(
        in prefix: String, _ name: String
    ) throws(TokenizerError) -> JSONObject {
        guard let bytes = try bytes(ifPresentAt: prefix + name) else { return JSONObject() }
        func invalid(_ found: String) -> TokenizerError {
            .invalidFile(
                file: name, field: "document", expected: "a JSON object", found: found,
                remedy: "use the file that came with the model, or remove it")
        }
        let value: JSONValue
        do {
            value = try StrictJSON.parse(
                bytes.span, limits: StrictJSON.Limits.file(maximumBytes: maximumBytes))
        } catch {
            throw invalid(error.description)
        }
        guard let object = value.asObject else { throw invalid(value.kindName) }
        return object
    }

    /// Takes the bytes of the files, in the order in which `Form` names them.
    package func update(_ digest: inout ContentDigest) {
        switch form {
        case .vocabularyAndMerges(let vocabulary, let merges):
            digest.update(vocabulary.span)
            digest.update(merges.span)
        case .combined(let json): digest.update(json.span)
        }
    }

    /// Nil when there is no such file.
    private static func bytes(ifPresentAt path: String) throws(TokenizerError) -> [UInt8]? {
        do {
            return try RegularFile.contents(of: path, limit: maximumBytes)
        } catch {
            if error.problem == .missing { return nil }
            throw TokenizerError(error)
        }
    }
}

extension TokenizerError {
    /// The trouble with a file of a tokenizer.
    fileprivate init(_ error: FileError) {
        let reason =
            switch error.problem {
            case .missing: "No such file or directory"
            case .notPermitted: "Permission denied"
            case .isDirectory, .isNotRegular: "it is not a regular file"
            case .tooLarge(let size, let limit): "\(size) bytes, at most \(limit) expected"
            case .truncated(let end, let size):
                "\(size) bytes expected, \(end) found; it was cut short"
            case .unopenable(let error), .unreadable(let error): error.reason
            }
        self = .unreadableFile(path: error.path, reason: reason)
    }
}
