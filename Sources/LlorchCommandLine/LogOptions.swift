// The options that say how much is logged, and in which format. The loggers that obey them: LlorchLog/LogOutput.swift.
// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
import FoundationEssentials
package import LlorchLog
public import Logging

package struct LogOptions: ParsableArguments {
    @Option(help: "The least severe level that is logged.")
    var logLevel: Logger.Level = .info

    @Option(
        help: ArgumentHelp(
            """
            How lines look: text, json, or auto: text where standard error is a terminal, else json. \
            Without this option LLORCH_LOG_FORMAT is obeyed. (default: auto)
            """, valueName: "format"))
    var logFormat: LogFormat?

    package init() {}

    /// Why a variable of the environment cannot be used.
    package struct VariableError: Error, CustomStringConvertible {
        package let description: String
    }

    private static let variable = "LLORCH_LOG_FORMAT"

    /// The log on standard error that the options ask for.
    ///
    /// - Throws: for a variable that names no format.
    package func output(
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws(VariableError) -> LogOutput {
        var format = logFormat
        if format == nil, let text = environment[Self.variable] {
            format = LogFormat(rawValue: text)
            guard format != nil else {
                throw VariableError(
                    description: "\(Self.variable)=\(text): expected one of \(LogFormat.names)")
            }
        }
        return LogOutput(level: logLevel, format: format ?? .auto)
    }

    /// A logger that obeys the options.
    package func makeLogger(label: String) throws -> Logger {
        try output().makeLogger(label: label)
    }

    /// Runs the work of a program with a logger, and logs why it failed if it does.
    package func run(label: String, _ body: (Logger) throws -> Void) throws {
        try output().run(label: label, body)
    }
}

// Here and not in a program, so that both programs name levels and formats alike.
extension Logger.Level: @retroactive ExpressibleByArgument {}
extension LogFormat: ExpressibleByArgument {}
