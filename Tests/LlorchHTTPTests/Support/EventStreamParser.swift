// Reads `text/event-stream` as the WHATWG page has it, and by the letter: what the shim never writes
// (other line ends, unknown fields) is an error here.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON
import LlorchProtocol

/// What a client sees of one frame.
struct ParsedEvent: Sendable, Hashable {
    var name: String
    var id: Int
    var json: JSONObject

    var text: String? { json["t"]?.asString }
    func count(_ key: String) -> Int? { json[key]?.asNumber?.asUInt64.map { Int($0) } }
}

struct EventStreamParser {
    struct Malformed: Error {
        var line: String
    }

    private var rest: [UInt8] = []
    private var name: String?
    private var id: Int?
    private var data: String?
    /// Comments so far.
    private(set) var comments = 0
    /// Nothing of a frame is open.
    var isBetweenEvents: Bool { rest.isEmpty && name == nil && id == nil && data == nil }

    /// The events that end within `bytes`.
    mutating func take(_ bytes: [UInt8]) throws -> [ParsedEvent] {
        rest += bytes
        var events: [ParsedEvent] = []
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            guard let line = String(validating: rest[..<end], as: UTF8.self) else {
                throw Malformed(line: "not UTF-8")
            }
            rest.removeSubrange(...end)
            if let event = try take(line: line) { events.append(event) }
        }
        return events
    }

    private mutating func take(line: String) throws -> ParsedEvent? {
        if line.isEmpty {
            if name == nil, id == nil, data == nil { return nil }
            guard let name, let id, let data else { throw Malformed(line: "frame not whole") }
            (self.name, self.id, self.data) = (nil, nil, nil)
            let json = try StrictJSON.parse(Array(data.utf8), limits: .file(maximumBytes: 1 << 20))
            guard let object = json.asObject, object["type"]?.asString == name else {
                throw Malformed(line: data)
            }
            return ParsedEvent(name: name, id: id, json: object)
        }
        if line.hasPrefix(":") {
            comments += 1
            return nil
        }
        let parts = line.split(separator: ":", maxSplits: 1).map(String.init)
        guard parts.count == 2, parts[1].hasPrefix(" ") else { throw Malformed(line: line) }
        let value = String(parts[1].dropFirst())
        switch parts[0] {
        case "event" where name == nil: name = value
        case "id" where id == nil && Int(value) != nil: id = Int(value)
        case "data" where data == nil: data = value
        default: throw Malformed(line: line)
        }
        return nil
    }
}

/// Nil where the events follow the grammar `started (token | metrics)* (end | error)` with whole numbering.
func grammarFault(_ events: [ParsedEvent]) -> String? {
    guard events.first?.name == "started" else { return "does not begin with started" }
    guard let last = events.last, last.name == "end" || last.name == "error" else {
        return "no terminal event"
    }
    var pieces = 0
    var tokens = 0
    for event in events.dropFirst().dropLast() {
        switch event.name {
        case "token":
            guard event.count("i") == pieces else { return "i is not \(pieces)" }
            guard let text = event.text, !text.isEmpty else { return "no text" }
            guard event.id > tokens else { return "id \(event.id) after \(tokens)" }
            pieces += 1
            tokens = event.id
        case "metrics": break
        default: return "\(event.name) in the middle"
        }
    }
    if last.name == "end", last.count("tokens_out") != last.id { return "tokens_out is not id" }
    return nil
}
