// Why a model could not be opened or read, as one sentence a person can act on.
// SPDX-License-Identifier: Apache-2.0

/// The error of every source of tensors.
package struct ModelFileError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What sort of trouble it is; the sentence has the details.
    package enum Kind: Sendable, Hashable {
        /// A file or a tensor is not there.
        case missing
        /// The operating system refuses to open or read.
        case unreadable
        /// Well formed, but of a kind that this engine does not run.
        case unsupported
        /// Not the format that it should be.
        case malformed
        /// Well formed, but its parts contradict each other.
        case inconsistent
        /// Shorter than a moment ago or than it says itself.
        case truncated
    }

    package var kind: Kind
    /// The file or directory, as it was named by the caller.
    package var path: String
    /// What was expected and what was found.
    package var problem: String
    /// What to do about it, where that is known.
    package var remedy: String?

    package init(_ kind: Kind, path: String, problem: String, remedy: String? = nil) {
        self.kind = kind
        self.path = path
        self.problem = problem
        self.remedy = remedy
    }

    package var description: String {
        let sentence = "\(path): \(problem)"
        return remedy.map { "\(sentence); \($0)" } ?? sentence
    }
}

extension String {
    /// At most 80 characters, control characters escaped: fit to be shown inside a sentence.
    var quotedForMessage: String {
        var text = ""
        for scalar in unicodeScalars.prefix(80) {
            text += scalar.escaped(asASCII: false)
        }
        return unicodeScalars.dropFirst(80).isEmpty ? "'\(text)'" : "'\(text)…'"
    }
}
