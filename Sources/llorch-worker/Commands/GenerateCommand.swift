// The arguments of `generate`. What the command does: LlorchWorker/Commands/GenerateCall.swift.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LlorchCommandLine
import LlorchWorker

struct GenerateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate",
        abstract: "Continues a prompt on standard output.",
        discussion: """
            What follows an option is its value, also if it begins with a dash: --prompt "- one".

            EXAMPLES
              llorch-worker generate --prompt "ROMEO." --max-tokens 64 --seed 7
              llorch-worker generate --prompt-file scene.txt --temperature 0 --json
              fortune | llorch-worker generate --prompt-file - --max-tokens 32
              llorch-worker generate --ids 10,20,30 --max-tokens 8 --json
              llorch-worker generate --prompt "ROMEO." --echo --logprobs 5 --max-tokens 0 --json
            """)

    @OptionGroup var model: ModelOptions

    @Option(parsing: .unconditional, help: "The text to continue.")
    var prompt: String?

    @Option(parsing: .unconditional, help: "A file with the text to continue; - is standard input.")
    var promptFile: String?

    @Option(parsing: .unconditional, help: "The token ids to continue, like 1,2,3.")
    var ids: String?

    @Flag(help: "Read special tokens in the prompt, such as <|endoftext|>, as those tokens.")
    var specialTokens = false

    @Option(
        parsing: .unconditional,
        help: "Generate at most this many tokens, 1 to 2048; with --echo also 0.")
    var maxTokens: Int = 128

    @Flag(help: "Begin the answer with the prompt.")
    var echo = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            """
            Tell each token's log-probability and those of this many likeliest tokens, 0 to 10; needs \
            --json.
            """, valueName: "n"))
    var logprobs: Int?

    @Option(
        parsing: .unconditional, help: "Sampling temperature, 0 to 2; 0 takes the likeliest token.")
    var temperature: String = "1"

    @Option(parsing: .unconditional, help: "Draw from the k likeliest tokens; 0 is off.")
    var topK: Int = 0

    @Option(
        parsing: .unconditional,
        help: "Draw from the likeliest tokens up to this sum of probability; 1 is off.")
    var topP: String = "1"

    @Option(
        parsing: .unconditional,
        help: "Draw from tokens at least this fraction as likely as the best; 0 is off.")
    var minP: String = "0"

    @Option(
        parsing: .unconditional,
        help: "Weaken tokens that were generated before, 0 to 2; 1 is off.")
    var repetitionPenalty: String = "1"

    @Option(
        parsing: .unconditional,
        help: "Equal seeds give equal text on any machine; the default is random.",
        transform: Seed.parse)
    var seed: UInt64?

    @Option(
        parsing: .unconditionalSingleValue,
        help: "End the text where this one appears. Repeatable, up to four times.")
    var stop: [String] = []

    @Option(parsing: .unconditional, help: "Tokens of a prefill chunk. Never changes a result.")
    var chunk: Int?

    @Flag(help: "Print one JSON event a line; the last has all ids and the whole text.")
    var json = false

    func validate() throws { _ = try options() }

    func run() throws {
        guard try GenerateCall.run(options(), model: model.choice()) else { throw ExitCode.failure }
    }

    private func options() throws -> GenerateOptions {
        try Program.checkUsage {
            try GenerateOptions(
                prompt: prompt, promptFile: promptFile, ids: ids, specialTokens: specialTokens,
                sampling: GenerateOptions.Sampling(
                    maximumTokens: maxTokens, echo: echo, logProbabilities: logprobs,
                    temperature: temperature, topK: topK, topP: topP, minP: minP,
                    repetitionPenalty: repetitionPenalty, seed: seed, stop: stop),
                chunk: chunk, json: json)
        }
    }
}
