// Files that often stand where a model file should: told by their first bytes or their names.
// SPDX-License-Identifier: Apache-2.0

/// A known kind of file that is not what was wanted.
package enum MistakenFile: Sendable, Hashable {
    /// A text of a few lines that stands for the file in a repository.
    case gitLFSPointer
    case gguf
    /// `pytorch_model.bin` since PyTorch 1.6.
    case zip
    /// The page of a failed download.
    case html

    /// By the first eight bytes, or all if there are fewer.
    package init?(prefix: Span<UInt8>) {
        func begins(with text: String) -> Bool {
            let text = Array(text.utf8)
            return prefix.count >= text.count
                && text.indices.allSatisfy { prefix[$0] == text[$0] }
        }
        if begins(with: "version ") {
            self = .gitLFSPointer
        } else if begins(with: "GGUF") {
            self = .gguf
        } else if begins(with: "PK\u{3}\u{4}") {
            self = .zip
        } else if begins(with: "<!") || begins(with: "<html") {
            self = .html
        } else {
            return nil
        }
    }

    /// By the name only.
    package init?(fileName: String) {
        if fileName.hasSuffix(".gguf") {
            self = .gguf
        } else if fileName == "pytorch_model.bin" || fileName == "pytorch_model.bin.index.json" {
            self = .zip
        } else {
            return nil
        }
    }

    package func error(path: String) -> ModelFileError {
        switch self {
        case .gitLFSPointer:
            ModelFileError(
                .missing, path: path, problem: "is a Git LFS pointer, not the file itself",
                remedy: "run `git lfs install && git lfs pull` in the repository it came from")
        case .gguf:
            ModelFileError(
                .unsupported, path: path, problem: "is a GGUF file, which is a model by itself",
                remedy: "name this file as the model, not its directory")
        case .zip:
            ModelFileError(
                .unsupported, path: path,
                problem: "is a PyTorch checkpoint, which is not supported yet",
                remedy: "convert it: python3 -c 'from transformers import AutoModelForCausalLM as "
                    + "M; M.from_pretrained(\"DIRECTORY\").save_pretrained(\"NEW_DIRECTORY\")'")
        case .html:
            ModelFileError(
                .malformed, path: path, problem: "is a web page, not a model file",
                remedy: "download it again, from the address of the file itself")
        }
    }
}
