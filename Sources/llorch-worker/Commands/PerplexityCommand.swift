// The arguments of `perplexity`: how well a model predicts a text, the field's figure of a model's quality.
// What the command does: LlorchWorker/Commands/PerplexityCall.swift.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LlorchCommandLine
import LlorchWorker

struct PerplexityCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "perplexity",
        abstract: "Measures how well a model predicts a file.",
        discussion: """
            Texts longer than the context are read in windows that overlap by half, so that every token
            but the first is predicted once, from at least half a context where one is there.
            --stride sets another overlap; a stride of the whole context cuts blocks without any.

            EXAMPLES
              llorch-worker perplexity --file models/shakespeare/validation.txt --special-tokens
              llorch-worker perplexity --model gpt2 --file text.txt --precision q4 --against f32
              llorch-worker perplexity --model gpt2 --file text.txt --json --per-token
            """)

    @OptionGroup var model: ModelOptions

    @Option(parsing: .unconditional, help: "A file of UTF-8 text; - is standard input.")
    var file: String

    @Flag(help: "Reads <|endoftext|> in the file as that token; else it is text like any other.")
    var specialTokens = false

    @Option(parsing: .unconditional, help: "Reads only so many tokens of the file.")
    var tokens: Int?

    @Option(
        parsing: .unconditional,
        help: "Tokens from one window's beginning to the next; half the context if not given.")
    var stride: Int?

    @Option(
        help: """
            Another precision to compare with: both perplexities, the mean Kullback-Leibler divergence, \
            and how often the likeliest token is the same.
            """)
    var against: String?

    @Option(parsing: .unconditional, help: "Tokens of a pass. Never changes a result.")
    var chunk: Int?

    @Flag(help: "One JSON object: tokens, perplexity, and log_probabilities with --per-token.")
    var json = false

    @Flag(help: "The natural logarithm of every token's probability.")
    var perToken = false

    func validate() throws { _ = try options() }

    func run() throws { try PerplexityCall.run(options(), model: model.choice()) }

    private func options() throws -> PerplexityOptions {
        try Program.checkUsage {
            try PerplexityOptions(
                file: file, specialTokens: specialTokens, tokens: tokens, stride: stride,
                against: against, chunk: chunk, json: json, perToken: perToken)
        }
    }
}
