// Log lines as JSON, one object a line, for programs that collect logs. No text from outside can end a line or an object.
// Text for people: SafeLogHandler.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchSystem
package import Logging

/// Writes `timestamp`, `level`, `component`, `event`, ids, `message`, then all other values in the order of their names.
package struct JSONLogHandler: LogHandler {
    private let label: String
    private let stream: any TextOutputStream & Sendable
    package var logLevel = Logger.Level.info
    package var metadata: Logger.Metadata = [:]

    /// The members that every reader looks for, in this order, before the message.
    private static let first = [
        LogKey.event, "worker_id", "job_id", LogKey.modelReference, "correlation_id",
    ]
    /// Names that readers of JSON expect in place of the shorter ones of a text line.
    private static let longNames = ["prompt_tokens": "tokens_in", "decode_ms": "decode_time_ms"]
    /// Values that are numbers; all others are texts, whatever they look like.
    private static let numbers: Set<String> = [
        "vram_bytes", "memory_bytes", "tokens_in", "tokens_out", "decode_time_ms", "prefill_ms",
        "total_ms", "queued_ms", "percent", "bytes", "status", "attempt", "port",
    ]

    /// - Parameters:
    ///   - label: the program's name, the member `component`.
    ///   - stream: where lines go.
    package init(label: String, stream: any TextOutputStream & Sendable) {
        self.label = label
        self.stream = stream
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var values: [String: String] = [:]
        for (key, value) in metadata.merging(event.metadata ?? [:], uniquingKeysWith: { $1 }) {
            values[Self.longNames[key] ?? key] = "\(value)"
        }
        if let error = event.error {
            values["error_message"] = "\(error)"
            values["error_type"] = "\(String(reflecting: type(of: error)))"
        }
        if event.level >= .error, values[LogKey.event] == nil {
            values[LogKey.event] = LogEventName.error.rawValue
        }
        var line = Self.head(level: event.level, component: label)
        for name in Self.first {
            if let value = values.removeValue(forKey: name) { Self.append(name, value, to: &line) }
        }
        line += ",\"message\":" + Self.quoted("\(event.message)", length: LogText.messageLength)
        for (name, value) in values.sorted(by: { $0.key < $1.key })
        where !Self.reserved.contains(name) {
            Self.append(name, value, to: &line)
        }
        var stream = stream
        stream.write(line + "}\n")
    }

    /// The line that tells of lines left out.
    package static func notice(missing: Int) -> String {
        head(level: .warning, component: "log") + ",\"message\":"
            + quoted(LogStream.plainNotice(missing: missing), length: LogText.messageLength) + "}"
    }

    private static let reserved: Set<String> = ["timestamp", "level", "component", "message"]

    private static func head(level: Logger.Level, component: String) -> String {
        "{\"timestamp\":\"\(Timestamp.now())\",\"level\":\"\(level.rawValue)\",\"component\":"
            + quoted(component, length: LogText.valueLength)
    }

    private static func append(_ name: String, _ value: String, to line: inout String) {
        line += "," + quoted(name, length: LogText.valueLength) + ":"
        if numbers.contains(name), isNumber(value) {
            line += value
        } else {
            line += quoted(value, length: LogText.valueLength)
        }
    }

    /// Whether a text is a whole number as JSON spells it, of at most fifteen digits: more are not exact everywhere.
    private static func isNumber(_ text: String) -> Bool {
        guard let number = Int(text) else { return false }
        return text.utf8.count <= 15 && "\(number)" == text
    }

    /// A JSON string of the beginning of `text`; an ellipsis stands for what is cut off.
    private static func quoted(_ text: String, length: Int) -> String {
        var result = "\""
        var count = 0
        for scalar in text.unicodeScalars {
            guard count < length else {
                result += "…"
                break
            }
            count += 1
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            default:
                if LogText.isHostile(scalar) {
                    for unit in String(scalar).utf16 {
                        let digits = String(unit, radix: 16)
                        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                    }
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }
}
