// The arguments of `tokenize` and `detokenize`. What the commands do: LlorchWorker/Commands/TokenizeCall.swift.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
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

    @Option(parsing: .unconditional, help: ArgumentHelp(ModelOptions.modelHelp))
    var model: String?

    @Flag(help: "Print one JSON array of ids, not one token a line with its text.")
    var json = false

    @Flag(help: "Read <|endoftext|> as that token, not as text like any other.")
    var specialTokens = false

    func run() throws {
        try TokenizeCall.tokenize(model: model, json: json, specialTokens: specialTokens)
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

    @Option(parsing: .unconditional, help: ArgumentHelp(ModelOptions.modelHelp))
    var model: String?

    @Flag(help: "Print the text as one JSON string, not as its bytes.")
    var json = false

    func run() throws { try TokenizeCall.detokenize(model: model, json: json) }
}
