// How all programs begin and end: descriptors, signals, arguments; the line of --version, the sentence for an error,
// the exit code.
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
            var parsed = try command.parseAsRoot(begin())
            try parsed.run()
            try Output.finish()
        } catch {
            end(command, error)
        }
    }

    /// As `run`, for a program whose commands may be asynchronous.
    package static func run<Command: AsyncParsableCommand>(_ command: Command.Type) async {
        do {
            var parsed = try command.parseAsRoot(begin())
            if var asynchronous = parsed as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try parsed.run()
            }
            try Output.finish()
        } catch {
            end(command, error)
        }
    }

    /// Makes the process fit to open files, and gives its arguments without the program's name.
    ///
    /// ArgumentParser would take none for granted where Swift cannot see them, and run the defaults.
    private static func begin() throws -> [String] {
        try StandardDescriptors.fill()
        try Termination.endBySignals()
        let arguments = try ProcessArguments.current()
        try ArgumentBytes.check(arguments)
        return DashValues.joined(arguments)
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
        Output.clearLine()
        switch command.exitCode(for: error) {
        case .success:
            // ArgumentParser's own way to print help and version does not see whether that succeeds.
            do {
                let text = command.fullMessage(for: error)
                if !text.isEmpty { try Output.write(text + "\n") }
                try Output.finish()
            } catch {
                fail(command, error)
            }
            command.exit()
        case .validationFailure:
            Output.standardError(PathText.shown(command.fullMessage(for: error)) + "\n")
            command.exit(withError: ExitCode(2))
        default:
            fail(command, error)
        }
    }

    private static func fail<Command: ParsableCommand>(
        _ command: Command.Type, _ error: any Error
    ) -> Never {
        if !(error is ExitCode) { Output.standardError("error: \(PathText.shown("\(error)"))\n") }
        command.exit(withError: ExitCode.failure)
    }
}
