// A frame of a `text/event-stream`: the event's name twice, as a line and inside the JSON, because
// readers of either kind exist. Pure; how a job's events become frames: EventFramer.swift.
// SPDX-License-Identifier: Apache-2.0

/// One frame, https://html.spec.whatwg.org/multipage/server-sent-events.html.
package struct ServerSentEvent: Sendable, Hashable {
    package var name: String
    /// Tokens delivered up to and with this event.
    package var id: Int
    /// JSON on one line.
    package var data: [UInt8]

    package init(name: String, id: Int, data: [UInt8]) {
        self.name = name
        self.id = id
        self.data = data
    }

    package func serialized() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(data.count + name.utf8.count + 40)
        bytes.append(contentsOf: "event: \(name)\nid: \(id)\ndata: ".utf8)
        bytes.append(contentsOf: data)
        bytes.append(contentsOf: "\n\n".utf8)
        return bytes
    }

    /// A comment: keeps the connection in use, and is no event to any reader.
    package static let ping = Array(": ping\n\n".utf8)
}
