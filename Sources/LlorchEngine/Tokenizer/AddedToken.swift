// A token that is looked for in a text before it is cut and merged, as a file describes it. Which of them a tokenizer
// has: TokenizerParts+added.swift; finding them in a text: AddedTokenMatcher.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON

/// What one of the tokenizer's files says of an added token.
struct AddedToken: Sendable, Hashable {
    var content: String
    /// The id that the file gives it; nil where the file only names the token.
    var id: Int?
    /// A special token is text like any other unless its reader asks for special tokens.
    var isSpecial: Bool
    /// Whether spaces in front of it belong to it.
    var stripsLeft = false
    /// Whether spaces behind it belong to it.
    var stripsRight = false
    /// Normalized tokens are looked for after all others.
    ///
    /// No text is normalized here.
    var isNormalized: Bool
    /// Where it stands, for messages.
    var file: String
    var field: String

    /// Longer ones would make the search in a text slow.
    static let maximumByteCount = 256

    /// A token with the settings that a bare name has.
    init(special content: String, file: String, field: String) {
        self.content = content
        self.file = file
        self.field = field
        isSpecial = true
        isNormalized = false
    }

    /// Reads a string or an object with `content`.
    ///
    /// - Parameters:
    ///   - value: what stands in the file.
    ///   - id: the id that the file gives it.
    ///   - file: the file's name, for messages.
    ///   - field: the path inside the file, for messages.
    ///   - isSpecial: whether it is special whatever the file says.
    /// - Throws: for what describes no token, and for a setting that is not supported.
    init(
        _ value: JSONValue, id: Int?, file: String, field: String, isSpecial: Bool = false
    ) throws(TokenizerError) {
        func invalid(_ field: String, _ expected: String, _ found: String) -> TokenizerError {
            .invalidFile(
                file: file, field: field, expected: expected, found: found,
                remedy: "use the tokenizer files that came with the model")
        }
        func flag(_ name: String, _ members: JSONObject) throws(TokenizerError) -> Bool? {
            guard let value = members[name] else { return nil }
            guard let flag = value.asBool else {
                throw invalid("\(field).\(name)", "true or false", value.kindName)
            }
            return flag
        }
        self.id = id
        self.file = file
        self.field = field
        if let text = value.asString {
            content = text
            self.isSpecial = isSpecial
            isNormalized = !isSpecial
        } else {
            guard let members = value.asObject else {
                throw invalid(field, "an object", value.kindName)
            }
            guard let text = members["content"]?.asString else {
                throw invalid(
                    "\(field).content", "a string", members["content"]?.kindName ?? "nothing")
            }
            content = text
            let special = try flag("special", members) ?? false
            self.isSpecial = special || isSpecial
            isNormalized = try flag("normalized", members) ?? !(special || isSpecial)
            stripsLeft = try flag("lstrip", members) ?? false
            stripsRight = try flag("rstrip", members) ?? false
            guard try flag("single_word", members) != true else {
                throw invalid(
                    "\(field).single_word", "false",
                    "true; tokens that count only as whole words are not supported")
            }
        }
        guard 1...Self.maximumByteCount ~= content.utf8.count else {
            throw invalid(
                "\(field).content", "1 to \(Self.maximumByteCount) bytes",
                "\(content.utf8.count)")
        }
    }
}
