// A page of metrics as its samples. Reads what the shim writes; Prometheus' own parser reads the page of the
// built program (EndToEndTests/test_metrics.py).
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import NIOCore
import Testing

struct MetricsPage {
    let text: String
    /// By name and labels as they are spelled.
    private(set) var samples: [String: Double] = [:]
    /// By family.
    private(set) var types: [String: String] = [:]
    private(set) var helps: [String: String] = [:]

    init(_ text: String) throws {
        self.text = text
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
            let words = line.split(separator: " ", maxSplits: 3).map(String.init)
            if line.hasPrefix("# HELP ") {
                helps[words[2]] = words[3]
            } else if line.hasPrefix("# TYPE ") {
                #expect(types.updateValue(words[3], forKey: words[2]) == nil, "\(line)")
            } else {
                let space = try #require(line.lastIndex(of: " "))
                let value = try #require(Double(line[line.index(after: space)...]), "\(line)")
                let name = String(line[..<space])
                #expect(samples.updateValue(value, forKey: name) == nil, "twice: \(line)")
            }
        }
        #expect(text.hasSuffix("\n"))
    }

    subscript(name: String) -> Double? { samples[name] }

    static func get(_ harness: Harness) async throws -> MetricsPage {
        let response = try await PlainClient(port: harness.port).execute(
            uri: "/metrics", method: .get)
        #expect(response.status == .ok)
        return try MetricsPage(String(buffer: response.body))
    }
}
