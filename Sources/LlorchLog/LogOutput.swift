// How much a program logs and in which format, and the loggers that obey it. Text: SafeLogHandler.swift. JSON:
// JSONLogHandler.swift. Where lines go: LlorchSystem/LogStream.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchSystem
package import Logging

/// The formats of a log.
package enum LogFormat: String, Sendable, Hashable, CaseIterable {
    case text
    case json
    /// Text where standard error is a terminal, else JSON.
    case auto

    /// The names for help and errors: `text, json, auto`.
    package static var names: String { allCases.map(\.rawValue).joined(separator: ", ") }
}

/// A program's log on standard error.
package struct LogOutput: Sendable {
    package let level: Logger.Level
    package let isJSON: Bool
    private let stream: LogStream

    package init(level: Logger.Level = .info, format: LogFormat = .auto) {
        self.level = level
        let isJSON =
            switch format {
            case .text: false
            case .json: true
            case .auto: !Output.errorIsTerminal
            }
        self.isJSON = isJSON
        stream =
            isJSON
            ? .standardError(notice: JSONLogHandler.notice(missing:)) : .standardError()
    }

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

    /// Runs the work of a program with a logger, and logs why it failed if it does.
    package func run(label: String, _ body: (Logger) throws -> Void) throws {
        do {
            try body(makeLogger(label: label))
        } catch {
            reportFailure(error, label: label)
            throw error
        }
    }

    /// Logs why the program ends, for readers of JSON; a person reads the sentence that the program ends with.
    package func reportFailure(_ error: any Error, label: String) {
        guard isJSON else { return }
        makeLogger(label: label).error(
            "\(PathText.shown("\(error)"))", metadata: [LogKey.event: "error"])
    }

    private func handler(label: String) -> any LogHandler {
        var handler: any LogHandler =
            isJSON
            ? JSONLogHandler(label: label, stream: stream)
            : SafeLogHandler(label: label, stream: stream)
        handler.logLevel = level
        return handler
    }
}
