// The names by which programs that read logs know what a line tells. A person reads the line's text instead.
// SPDX-License-Identifier: Apache-2.0

package import Logging

/// What a line tells, as a value of the key `LogKey.event`.
package enum LogEventName: String, Sendable, CaseIterable {
    case startup
    case modelLoadStart = "model_load_start"
    case modelLoadProgress = "model_load_progress"
    case modelLoadComplete = "model_load_complete"
    case ready
    case executeStart = "execute_start"
    case executeEnd = "execute_end"
    case error
    case shutdown
}

package enum LogKey {
    /// Only JSON has it: in text the message says as much.
    package static let event = "event"
    /// Only JSON has it, in every line of a worker: in text the line of the start says it once.
    package static let modelReference = "model_ref"

    /// Keys that a line of text leaves out.
    static let onlyInJSON: Set<String> = [event, modelReference]
}

extension Logger.Metadata {
    /// These values, and the name of the event for readers of JSON.
    package static func of(_ event: LogEventName, _ values: Logger.Metadata = [:]) -> Self {
        var metadata = values
        metadata[LogKey.event] = "\(event.rawValue)"
        return metadata
    }
}
