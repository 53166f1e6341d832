// Text to ids and back, on standard streams.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LlorchEngine
import LlorchJSON
import LlorchProtocol
import LlorchSystem
import LlorchWorker

struct TokenizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenize",
        abstract: "Turns text on standard input into token ids.",
        discussion: """
            EXAMPLES
              echo -n "Hello." | llorch-worker tokenize
              llorch-worker tokenize --json < scene.txt
            """)

    @Option(help: "A Hugging Face GPT-2 directory or a GGUF file; the demo model if not given.")
    var model: String?

    @Flag(help: "One JSON array of ids; else one token a line, with its text.")
    var json = false

    @Flag(help: "Reads <|endoftext|> as that token; else it is text like any other.")
    var specialTokens = false

    func run() throws {
        let tokenizer = try Tokenizer(model: model ?? DemoModel.path())
        let bytes = try Input.readAll()
        let ids = try tokenizer.tokenize(bytes: bytes.span, parsingSpecialTokens: specialTokens)
        if json {
            var writer = JSONWriter()
            writer.beginArray()
            for id in ids { writer.integer(id) }
            writer.endArray()
            Output.writeLine(writer.bytes)
        } else {
            for id in ids {
                let text = String(decoding: try tokenizer.bytes(of: id), as: UTF8.self)
                Output.write("\(id)\t\(text.debugDescription)\n")
            }
        }
    }
}

struct DetokenizeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "detokenize",
        abstract: "Turns a JSON array of token ids on standard input into text.",
        discussion: """
            EXAMPLES
              echo "[15496, 13]" | llorch-worker detokenize --model gpt2
            """)

    @Option(help: "A Hugging Face GPT-2 directory or a GGUF file; the demo model if not given.")
    var model: String?

    @Flag(help: "The text as one JSON string; else the bytes as they are.")
    var json = false

    func run() throws {
        let tokenizer = try Tokenizer(model: model ?? DemoModel.path())
        let bytes = try Input.readAll()
        let limits = StrictJSON.Limits.file(maximumBytes: 1 << 30, maximumDepth: 1)
        guard let array = try StrictJSON.parse(bytes, limits: limits).asArray else {
            throw CommandFailure("standard input must be one JSON array of ids, like [1, 2, 3]")
        }
        let ids = try array.enumerated().map { index, value in
            guard let id = value.asNumber?.asUInt64.flatMap(TokenID.init(exactly:)) else {
                throw CommandFailure("element \(index) is no token id")
            }
            return id
        }
        let text = try tokenizer.detokenize(ids)
        if json {
            guard let text = String(validating: text, as: UTF8.self) else {
                throw CommandFailure("the ids end inside a character; leave --json out for bytes")
            }
            Output.writeLine(JSONValue.string(text).serialized())
        } else {
            Output.write(text)
        }
    }
}
