// What can be wrong with a vocabulary, with ids or with bytes handed to the tokenizer.
// Never holds text of a prompt or a completion.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

package enum TokenizerError: Error, Sendable, Hashable, CustomStringConvertible {
    case unreadableFile(path: String, reason: String)
    /// A directory has no tokenizer; `found` names the half of one that is there.
    case missingFiles(directory: String, found: String)
    /// A file is not a GPT-2 vocabulary; `field` is a path inside the file, `model.type`.
    case invalidFile(file: String, field: String, expected: String, found: String, remedy: String)
    case unknownToken(TokenID, vocabularySize: Int)
    case invalidUTF8(byteOffset: Int)

    package var description: String {
        switch self {
        case .unreadableFile(let path, let reason):
            "cannot read \(path): \(reason)"
        case .missingFiles(let directory, let found):
            "\(directory): must have vocab.json and merges.txt, or tokenizer.json, found \(found); "
                + "copy the tokenizer files that came with the model there"
        case .invalidFile(let file, let field, let expected, let found, let remedy):
            "\(file): \(field): expected \(expected), found \(found); \(remedy)"
        case .unknownToken(let token, let vocabularySize):
            "token id \(token) is not in the vocabulary of \(vocabularySize) tokens"
        case .invalidUTF8(let byteOffset):
            "the text is not valid UTF-8 at byte \(byteOffset)"
        }
    }
}
