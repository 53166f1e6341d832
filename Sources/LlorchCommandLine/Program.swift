// How both programs begin and end: the line of --version, the sentence for an error, the exit code.
// SPDX-License-Identifier: Apache-2.0

package import ArgumentParser
import LlorchSystem

package enum Program {
    /// The line that `--version` prints, such as `llorch-worker 0.1.0`.
    package static func version(of name: String) -> String { "\(name) \(Version.current)" }

    /// Runs the command that the arguments of the process name, and ends the process if it fails.
    ///
    /// Exit codes: 0 for success, help and version; 1 where the command could not be carried out;
    /// 2 for a bad command line, as orchestrators expect, where ArgumentParser's own code would be 64.
    package static func run<Command: ParsableCommand>(_ command: Command.Type) {
        do {
            var parsed = try command.parseAsRoot()
            try parsed.run()
        } catch {
            end(command, error)
        }
    }

    /// As `run`, for a program whose commands may be asynchronous.
    package static func run<Command: AsyncParsableCommand>(_ command: Command.Type) async {
        do {
            var parsed = try command.parseAsRoot()
            if var asynchronous = parsed as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try parsed.run()
            }
        } catch {
            end(command, error)
        }
    }

    /// Makes a check of a library; an error of the check becomes one of the command line.
    ///
    /// For `validate()` of a command: the person reads the error's sentence and the usage, and the exit code
    /// is 2.
    package static func checkUsage<Result>(
        _ check: () throws -> Result
    ) throws(ValidationError) -> Result {
        do {
            return try check()
        } catch let error as ValidationError {
            throw error
        } catch {
            throw ValidationError("\(error)")
        }
    }

    private static func end<Command: ParsableCommand>(
        _ command: Command.Type, _ error: any Error
    ) -> Never {
        switch command.exitCode(for: error) {
        case .success:
            command.exit(withError: error)
        case .validationFailure:
            Output.standardError(command.fullMessage(for: error) + "\n")
            command.exit(withError: ExitCode(2))
        default:
            if !(error is ExitCode) { Output.standardError("error: \(error)\n") }
            command.exit(withError: ExitCode.failure)
        }
    }
}
