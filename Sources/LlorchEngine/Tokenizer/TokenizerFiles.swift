// Finds the tokenizer in a model's directory and reads it, once: what is parsed and what is digested are the same
// bytes, also if a file is replaced meanwhile. Parsing: TokenizerParts+parsing.swift. A GGUF file is its own
// tokenizer: ModelFile/GGUF/GGUFVocabulary.swift.
// SPDX-License-Identifier: Apache-2.0

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

    /// GPT-2's largest file is 1.4 MB.
    static let maximumBytes = 64 << 20

    /// Reads the files of a directory.
    ///
    /// The pair is preferred to `tokenizer.json`, which may hold settings of other tokenizers.
    package init(directory: String) throws(TokenizerError) {
        let prefix = directory.hasSuffix("/") ? directory : directory + "/"
        let vocabulary = try Self.bytes(ifPresentAt: prefix + "vocab.json")
        let merges = try Self.bytes(ifPresentAt: prefix + "merges.txt")
        if let vocabulary, let merges {
            form = .vocabularyAndMerges(vocabulary: vocabulary, merges: merges)
        } else if let json = try Self.bytes(ifPresentAt: prefix + "tokenizer.json") {
            form = .combined(json)
        } else {
            throw .missingFiles(
                directory: directory,
                found: vocabulary != nil
                    ? "vocab.json only" : merges != nil ? "merges.txt only" : "none")
        }
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
