// What `llorch-worker tokenize` and `detokenize` do: standard input through a model's tokenizer to standard output.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchJSON
import LlorchProtocol
import LlorchSystem

package enum TokenizeCall {
    /// Turns text into ids.
    ///
    /// - Parameters:
    ///   - model: a path; nil is the demo model. Only its tokenizer is read.
    ///   - json: whether one JSON array is printed, not one line for each token.
    ///   - specialTokens: whether `<|endoftext|>` in the text is that token.
    /// - Throws: when the tokenizer or standard input cannot be read.
    package static func tokenize(model: String?, json: Bool, specialTokens: Bool) throws {
        let tokenizer = try Tokenizer(model: model ?? DemoModel.path())
        let bytes = try InputFile.standardInput()
        let ids = try tokenizer.tokenize(bytes: bytes.span, parsingSpecialTokens: specialTokens)
        if json {
            var writer = JSONWriter()
            writer.beginArray()
            for id in ids { writer.integer(id) }
            writer.endArray()
            try Output.writeLine(writer.bytes)
        } else {
            for id in ids {
                let text = String(decoding: try tokenizer.bytes(of: id), as: UTF8.self)
                try Output.write("\(id)\t\(text.debugDescription)\n")
            }
        }
    }

    /// Turns a JSON array of ids into text.
    ///
    /// - Parameters:
    ///   - model: a path; nil is the demo model. Only its tokenizer is read.
    ///   - json: whether the text is printed as one JSON string, not as its bytes.
    /// - Throws: when the tokenizer or standard input cannot be read, and for ids that are none.
    package static func detokenize(model: String?, json: Bool) throws {
        let tokenizer = try Tokenizer(model: model ?? DemoModel.path())
        let text = try tokenizer.detokenize(ids(try InputFile.standardInput()))
        if json {
            guard let text = String(validating: text, as: UTF8.self) else {
                throw CommandFailure("the ids end inside a character; leave --json out for bytes")
            }
            try Output.writeLine(JSONValue.string(text).serialized())
        } else {
            try Output.write(text)
        }
    }

    private static func ids(_ bytes: [UInt8]) throws -> [TokenID] {
        let limits = StrictJSON.Limits.file(maximumBytes: 1 << 30, maximumDepth: 1)
        guard let array = try StrictJSON.parse(bytes, limits: limits).asArray else {
            throw CommandFailure("standard input must be one JSON array of ids, like [1, 2, 3]")
        }
        return try array.enumerated().map { index, value in
            guard let id = value.asNumber?.asUInt64.flatMap(TokenID.init(exactly:)) else {
                throw CommandFailure("element \(index) is no token id")
            }
            return id
        }
    }
}
