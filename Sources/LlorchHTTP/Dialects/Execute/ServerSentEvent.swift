// A frame of a `text/event-stream`. The event's name is there twice, on a line and inside the JSON: some readers
// look at the line, others at the JSON. How a job's events become frames: EventFramer.swift.
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

    /// A comment, which readers ignore; it shows that the connection still works.
    package static let ping = Array(": ping\n\n".utf8)
}
