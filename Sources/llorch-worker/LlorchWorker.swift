// The program: its commands, its version, its exit codes. Their arguments are in Commands/, what they do is in
// LlorchWorker/Commands.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LlorchCommandLine

@main
struct LlorchWorker: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "llorch-worker",
        abstract: "Runs GPT-2 on one CPU thread: jobs from ZeroMQ in, token events out.",
        discussion: """
            Without --model, the demo model that comes with llorch is used.

            EXAMPLES
              llorch-worker generate --prompt "ROMEO." --max-tokens 64
              llorch-worker serve --worker-id w1 --model models/shakespeare
              llorch-worker bench -p 512 -n 128
              echo "Hello" | llorch-worker tokenize --json

            EXIT CODES
              0  done, or a clean shutdown    1  it could not be done    2  bad command line
            """,
        version: Program.version(of: "llorch-worker"),
        subcommands: [
            ServeCommand.self, GenerateCommand.self, TokenizeCommand.self,
            DetokenizeCommand.self, PerplexityCommand.self, BenchCommand.self,
            InspectCommand.self, KeysCommand.self,
        ],
        defaultSubcommand: ServeCommand.self)

    static func main() { Program.run(Self.self) }
}
