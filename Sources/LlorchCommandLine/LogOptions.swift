// The option that says how much is logged, and the loggers that obey it.
// How a log line looks, and where it goes: LlorchLog and LlorchSystem/LogStream.swift.
// SPDX-License-Identifier: Apache-2.0

public import ArgumentParser
import LlorchLog
import LlorchSystem
public import Logging

package struct LogOptions: ParsableArguments {
    @Option(help: "The least severe level that is logged.")
    var logLevel: Logger.Level = .info

    package init() {}

    /// A logger on standard error, for a program that hands its logger to everything that logs.
    package func makeLogger(label: String) -> Logger {
        Logger(label: label) { handler(label: $0) }
    }

    /// Makes every logger of the process log to standard error, those of foreign libraries too.
    ///
    /// To be called once, before the first logger is made.
    package func bootstrap() {
        LoggingSystem.bootstrap { handler(label: $0) }
    }

    private func handler(label: String) -> any LogHandler {
        var handler = SafeLogHandler(label: label, stream: LogStream.standardError)
        handler.logLevel = logLevel
        return handler
    }
}

// Here and not in a program, so that both programs name the levels alike.
extension Logger.Level: @retroactive ExpressibleByArgument {}
