// The arguments of `inspect`. What the command does: LlorchWorker/Commands/InspectCall.swift.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LlorchWorker

struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Shows a model's sizes, memory, tokenizer and digest.",
        discussion: """
            EXAMPLES
              llorch-worker inspect
              llorch-worker inspect --model gpt2 --json
              llorch-worker inspect --model gpt2.Q8_0.gguf
            """)

    @OptionGroup var model: ModelOptions

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws { try InspectCall.run(model.choice(), json: json) }
}
