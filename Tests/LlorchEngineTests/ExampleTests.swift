// The example of the engine as a library, run as it is built: examples/Engine/main.swift.
// SPDX-License-Identifier: Apache-2.0

import Foundation
import LlorchEngine
import Testing

@Suite struct ExampleTests {
    private static let repository = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    /// The products lie beside the bundle of the tests.
    private static func product(_ name: String) throws -> URL {
        let bundle = try #require(
            (CommandLine.arguments + [Bundle.main.bundlePath]).first { $0.contains(".xctest") },
            "no path of the tests among the arguments")
        var place = URL(filePath: bundle)
        while place.pathExtension != "xctest", place.pathComponents.count > 1 {
            place.deleteLastPathComponent()
        }
        return place.deletingLastPathComponent().appending(path: name)
    }

    @Test func theEngineContinuesAText() throws {
        let output = Pipe()
        let process = Process()
        process.executableURL = try Self.product("engine-example")
        process.currentDirectoryURL = Self.repository
        process.standardOutput = output
        try process.run()
        let bytes = try #require(try output.fileHandleForReading.readToEnd())
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        let lines = String(decoding: bytes, as: UTF8.self).split(
            separator: "\n", maxSplits: 2, omittingEmptySubsequences: false)

        let model = try LanguageModel(
            path: Self.repository.appending(path: "models/shakespeare").path)
        #expect(lines.first == "shakespeare: \(model.facts.parameterCount) weights")
        #expect(lines.dropFirst().first == "\(model.tokenize("ROMEO.")) is ROMEO.")
        #expect(lines.last?.hasSuffix("\nmaximumTokens\n") == true)
        #expect(
            lines.last?.hasPrefix("\n\nACHILLES:\nThen, mistress, thou wilt be a tailor;\n") == true
        )
    }
}
