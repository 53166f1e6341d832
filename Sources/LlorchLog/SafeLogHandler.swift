// How both programs log: the line of swift-log's StreamLogHandler, but no text in it can break the line, pretend to be
// another field, or command a terminal. Where lines go: LlorchSystem/LogStream.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchSystem
package import Logging

/// Escapes and cuts every message and every value, so that no caller can forget to.
///
/// A value with a space, or an empty one, stands in quotes: `reason="No such file or directory"`.
package struct SafeLogHandler: LogHandler {
    private var base: StreamLogHandler

    /// - Parameters:
    ///   - label: the program's name, behind the level.
    ///   - stream: where lines go.
    package init(label: String, stream: any TextOutputStream & Sendable) {
        base = StreamLogHandler(label: label, stream: stream, metadataProvider: nil)
    }

    package var logLevel: Logger.Level {
        get { base.logLevel }
        set { base.logLevel = newValue }
    }

    /// As they are logged, not as they were set.
    package var metadata: Logger.Metadata {
        get { base.metadata }
        set { base.metadata = Self.safe(newValue) }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { base[metadataKey: LogText.safe(key)] }
        set {
            guard !LogKey.onlyInJSON.contains(key) else { return }
            base[metadataKey: LogText.safe(key)] = newValue.map { Self.safe($0) }
        }
    }

    package func log(event: LogEvent) {
        var metadata = event.metadata ?? [:]
        if let error = event.error {
            metadata["error.message"] = "\(error)"
            metadata["error.type"] = "\(String(reflecting: type(of: error)))"
        }
        var safe = event
        safe.error = nil
        safe.metadata = Self.safe(metadata)
        safe.message = "\(Self.safeMessage(event.message))"
        base.log(event: safe)
    }

    private static func safeMessage(_ message: Logger.Message) -> String {
        // Our own sentences quote names; a quote in a message ends no field.
        LogText.safe(
            "\(message)", length: LogText.messageLength, escapingQuotes: false)
    }

    private static func safe(_ metadata: Logger.Metadata) -> Logger.Metadata {
        var result: Logger.Metadata = [:]
        for (key, value) in metadata where !LogKey.onlyInJSON.contains(key) {
            result[LogText.safe(key)] = safe(value)
        }
        return result
    }

    private static func safe(_ value: Logger.Metadata.Value) -> Logger.Metadata.Value {
        let text = LogText.safe("\(value)")
        return .string(text.isEmpty || text.contains(" ") ? "\"\(text)\"" : text)
    }
}
