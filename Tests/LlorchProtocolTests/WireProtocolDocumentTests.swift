// Every example of docs/wire-protocol.md is parsed, so that the page shows only what the code takes.
// SPDX-License-Identifier: Apache-2.0

import Foundation
import LlorchJSON
import LlorchProtocol
import Testing

/// A fenced block whose info string begins with `json`.
private struct Example: Sendable, CustomTestStringConvertible {
    /// The words after `json`.
    var labels: [String]
    var text: String
    var bytes: [UInt8] { Array(text.utf8) }
    var testDescription: String { labels.joined(separator: " ") + " " + text.prefix(60) }

    static func all(in page: String) -> [Example] {
        var examples: [Example] = []
        var current: Example?
        for line in page.split(separator: "\n", omittingEmptySubsequences: false) {
            if let example = current {
                if line == "```" {
                    examples.append(example)
                    current = nil
                } else {
                    current?.text += line + "\n"
                }
            } else if line.hasPrefix("```json") {
                current = Example(
                    labels: line.dropFirst(7).split(separator: " ").map(String.init), text: "")
            }
        }
        return examples
    }
}

@Suite("docs/wire-protocol.md") struct WireProtocolDocumentTests {
    private let page: String
    private let examples: [Example]

    init() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        page = try String(
            contentsOf: root.appending(path: "docs/wire-protocol.md"), encoding: .utf8)
        examples = Example.all(in: page)
    }

    @Test("every example is what its title says")
    func examplesHold() throws {
        for example in examples {
            switch example.labels.first {
            case "dispatcher":
                let message = try DispatcherMessage(parsing: example.bytes)
                #expect(try DispatcherMessage(parsing: message.serialized()) == message)
            case "worker":
                let event = try WorkerEvent(parsing: example.bytes)
                #expect(try WorkerEvent(parsing: event.serialized()) == event)
                // All members shown are ones that the worker itself writes.
                let shown = try StrictJSON.parse(example.bytes, limits: .wire)
                let written = try StrictJSON.parse(event.serialized(), limits: .wire)
                #expect(names(in: shown).subtracting(names(in: written)).isEmpty)
            case "execute":
                _ = try ExecuteRequest(parsing: example.bytes)
            case "refused":
                let error = try #require(throws: WireError.self) {
                    try DispatcherMessage(parsing: example.bytes)
                }
                #expect(error.failure.code.rawValue == example.labels.last, "\(example.text)")
            default:
                Issue.record("a block of unknown title: \(example.testDescription)")
            }
        }
    }

    @Test("every type of message has an example")
    func complete() {
        for (label, types) in [
            ("dispatcher", ["job", "cancel", "ack", "drain", "ping"]),
            (
                "worker",
                ["heartbeat", "accepted", "started", "token", "metrics", "end", "error", "bye"]
            ),
        ] {
            for type in types {
                let found = examples.contains { example in
                    let value = try? StrictJSON.parse(example.bytes, limits: .wire)
                    return example.labels.first == label
                        && value?.asObject?["type"]?.asString == type
                }
                #expect(found, "no \(label) example of \(type)")
            }
        }
        #expect(examples.contains { $0.labels.first == "execute" })
    }

    @Test("the table of codes is the code's", arguments: JobFailure.Code.allCases)
    func codes(_ code: JobFailure.Code) {
        let row = "| `\(code.rawValue)` | \(code.isRetriable ? "yes" : "no") |"
        #expect(page.contains(row), "no row \(row)")
    }

    private func names(in value: JSONValue) -> Set<String> {
        Set(value.asObject?.members.map(\.key) ?? [])
    }
}
