// @main: arguments in, one command run, an exit code out. What the commands do is in Commands/.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import LlorchSystem

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
        subcommands: [
            ServeCommand.self, GenerateCommand.self, TokenizeCommand.self,
            DetokenizeCommand.self, PerplexityCommand.self, BenchCommand.self,
            InspectCommand.self, KeysCommand.self,
        ],
        defaultSubcommand: ServeCommand.self)

    /// ArgumentParser would exit with 64 for a bad command line; orchestrators expect 2.
    static func main() {
        do {
            var command = try parseAsRoot()
            try command.run()
        } catch {
            let code = exitCode(for: error)
            switch code {
            case .success:
                exit(withError: error)
            case .validationFailure:
                Output.standardError(fullMessage(for: error) + "\n")
                Glibc.exit(2)
            default:
                if !(error is ExitCode) { Output.standardError("error: \(error)\n") }
                Glibc.exit(1)
            }
        }
    }
}
