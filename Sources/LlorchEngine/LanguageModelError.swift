// What the engine's public face throws (LanguageModel.swift). Inside the engine errors have more types, each with
// its details; here they are a code for programs and a sentence for people.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

/// Why a model cannot be loaded, or a text not be generated.
public struct LanguageModelError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A code that keeps its spelling from version to version.
    public enum Code: String, Sendable, Hashable, CaseIterable {
        /// A file of the model is not there.
        case modelNotFound = "MODEL_NOT_FOUND"
        /// The operating system refuses to open or to read a file.
        case modelUnreadable = "MODEL_UNREADABLE"
        /// The model is of a kind that this engine does not run.
        case modelUnsupported = "MODEL_UNSUPPORTED"
        /// A file of the model is broken, or the files do not belong together.
        case modelMalformed = "MODEL_MALFORMED"
        /// A setting is out of its range, or a token is not in the vocabulary.
        case invalidRequest = "INVALID_REQUEST"
        /// The prompt leaves no room for another token.
        case contextOverflow = "CONTEXT_OVERFLOW"
        /// There is too little memory for the weights, or for the positions of a text.
        case outOfMemory = "OUT_OF_MEMORY"
        /// The model gave no usable numbers.
        case inferenceFailed = "INFERENCE_FAILED"
    }

    /// What sort of trouble it is, for programs.
    public let code: Code
    /// What was expected, what was found, and what to do about it where that is known.
    public let message: String

    /// The message.
    public var description: String { message }

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    init(_ failure: JobFailure) {
        let code: Code =
            switch failure.code {
            case .invalidRequest: .invalidRequest
            case .contextOverflow: .contextOverflow
            default: .inferenceFailed
            }
        self.init(code, failure.message)
    }

    /// The error with which loading ended.
    package init(loading error: any Error) {
        let code: Code =
            switch error {
            case let error as ModelFileError:
                switch error.kind {
                case .missing: .modelNotFound
                case .unreadable: .modelUnreadable
                case .unsupported: .modelUnsupported
                case .malformed, .inconsistent, .truncated: .modelMalformed
                }
            case is MemoryShortage: .outOfMemory
            case TokenizerError.missingFiles: .modelNotFound
            case TokenizerError.unreadableFile: .modelUnreadable
            default: .modelMalformed
            }
        self.init(code, "\(error)")
    }
}
