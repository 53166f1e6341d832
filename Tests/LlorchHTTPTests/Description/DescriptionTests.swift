// The limits and words of GET /openapi.json are those of the code. That every route is described, and that answers
// are as described: Tests/EndToEndTests/test_openapi.py.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
import LlorchHTTP
import LlorchJSON
import LlorchProtocol
import LlorchSystem
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(2))) struct DescriptionTests {
    /// The document, or a value in it, with the way to it for messages.
    private struct Place {
        let value: JSONValue
        let path: String

        subscript(_ name: String) -> Place {
            get throws {
                let member = value.asObject?[name]
                return Place(
                    value: try #require(member, "\(path) has no \(name)"), path: "\(path).\(name)")
            }
        }

        var number: Double? { value.asNumber?.asDouble }
        var count: UInt64? { value.asNumber?.asUInt64 }
        var names: Set<String> { Set(value.asObject?.members.map(\.key) ?? []) }
        var texts: [String] { value.asArray?.compactMap(\.asString) ?? [] }
    }

    private func withDocument(
        _ body: @escaping @Sendable (Place) throws -> Void
    ) async throws {
        try await Harness.run([]) { harness in
            let answer = try await PlainClient(port: harness.port)
                .execute(uri: "/openapi.json", method: .get)
            #expect(answer.status == .ok)
            #expect(answer.headers[.contentType] == "application/json")
            let bytes = Array(answer.body.readableBytesView)
            // Strict: no name appears twice, and numbers keep their digits.
            let json = try StrictJSON.parse(bytes, limits: .file(maximumBytes: 1 << 20))
            try body(Place(value: json, path: "openapi.json"))
        }
    }

    @Test func limitsAreTheValidators() async throws {
        try await withDocument { document in
            let schemas = try document["components"]["schemas"]
            let members = try schemas["ExecuteRequest"]["properties"]
            #expect(members.names == ExecuteRequest.memberNames)
            let prompt = JobValidation.promptScalars
            #expect(try members["prompt"]["minLength"].count == UInt64(prompt.lowerBound))
            #expect(try members["prompt"]["maxLength"].count == UInt64(prompt.upperBound))
            #expect(try members["job_id"]["minLength"].count == 1)
            #expect(
                try members["job_id"]["maxLength"].count == UInt64(JobValidation.jobIDBytes))
            let ids = JobValidation.promptIDCount
            #expect(try members["prompt_ids"]["minItems"].count == UInt64(ids.lowerBound))
            #expect(try members["prompt_ids"]["maxItems"].count == UInt64(ids.upperBound))
            let tokens = try members["max_tokens"]
            let count = JobValidation.maximumTokens
            #expect(try tokens["maximum"].count == UInt64(count.upperBound))
            // Nothing need be made where the prompt is the answer.
            #expect(try tokens["minimum"].count == 0)
            let without = try schemas["ExecuteRequest"]["else"]["properties"]["max_tokens"]
            #expect(try without["minimum"].count == UInt64(count.lowerBound))
            let alternatives = JobValidation.logProbabilities
            #expect(try members["logprobs"]["minimum"].count == UInt64(alternatives.lowerBound))
            #expect(try members["logprobs"]["maximum"].count == UInt64(alternatives.upperBound))
            #expect(
                try tokens["default"].count == UInt64(GenerationJob.defaultMaximumTokens))
            let stop = try members["stop"]
            #expect(try stop["maxItems"].count == UInt64(JobValidation.stopSequenceCount))
            let sequence = try stop["items"]
            #expect(try sequence["minLength"].count == 1)
            #expect(
                try sequence["maxLength"].count == UInt64(JobValidation.stopSequenceBytes))
            #expect(try members["seed"]["maximum"].count == .max)
            #expect(try members["top_k"]["maximum"].count == UInt64(UInt32.max))
            #expect(
                try schemas["Errors"]["properties"]["errors"]["maxItems"].count
                    == UInt64(JobValidation.reportedErrors))
        }
    }

    @Test func limitsOfCompletionsAreTheirs() async throws {
        try await withDocument { document in
            let members = try document["components"]["schemas"]["CompletionRequest"]["properties"]
            let copies = CompletionRequest.copyRange
            for name in ["n", "best_of"] {
                #expect(try members[name]["minimum"].count == UInt64(copies.lowerBound))
                #expect(try members[name]["maximum"].count == UInt64(copies.upperBound))
            }
            let alternatives = CompletionRequest.logProbabilities
            #expect(try members["logprobs"]["minimum"].count == UInt64(alternatives.lowerBound))
            #expect(try members["logprobs"]["maximum"].count == UInt64(alternatives.upperBound))
            let tokens = try members["max_tokens"]
            #expect(
                try tokens["default"].count == UInt64(CompletionRequest.defaultMaximumTokens))
            #expect(
                try tokens["maximum"].count == UInt64(JobValidation.maximumTokens.upperBound))
            let forms = try #require(try members["prompt"]["anyOf"].value.asArray)
            let counts = forms.compactMap { $0.asObject?["maxItems"]?.asNumber?.asUInt64 }
            #expect(
                Set(counts) == [
                    UInt64(CompletionRequest.maximumChoices),
                    UInt64(JobValidation.promptIDCount.upperBound),
                ])
        }
    }

    /// Ranges of numbers are no constants: a value at each end is taken, and one beyond it is not.
    @Test func rangesAreTheValidators() async throws {
        try await withDocument { document in
            let members = try document["components"]["schemas"]["ExecuteRequest"]["properties"]
            for name in ["temperature", "top_p", "min_p", "repetition_penalty"] {
                let least = try #require(try members[name]["minimum"].number)
                let most = try #require(try members[name]["maximum"].number)
                #expect(Self.isTaken(name, least) && Self.isTaken(name, most), "\(name)")
                #expect(!Self.isTaken(name, least - 0.01), "\(name)")
                #expect(!Self.isTaken(name, most + 0.01), "\(name)")
            }
        }
    }

    @Test func defaultsAreTheCodes() async throws {
        try await withDocument { document in
            let members = try document["components"]["schemas"]["ExecuteRequest"]["properties"]
            let standard = SamplingParameters.default
            #expect(try members["temperature"]["default"].number == Double(standard.temperature))
            #expect(try members["top_p"]["default"].number == Double(standard.topP))
            #expect(try members["top_k"]["default"].count == UInt64(standard.topK))
            #expect(try members["min_p"]["default"].number == Double(standard.minP))
            #expect(
                try members["repetition_penalty"]["default"].number
                    == Double(standard.repetitionPenalty))
        }
    }

    @Test func wordsAreTheCodes() async throws {
        try await withDocument { document in
            #expect(try document["info"]["version"].value.asString == Version.current)
            let schemas = try document["components"]["schemas"]
            #expect(
                try schemas["ErrorCode"]["enum"].texts
                    == JobFailure.Code.allCases.map(\.rawValue))
            #expect(
                try schemas["StopReason"]["enum"].texts == StopReason.allCases.map(\.rawValue))
        }
    }

    private static func isTaken(_ name: String, _ value: Double) -> Bool {
        let body = #"{"job_id":"a","prompt":"b","\#(name)":\#(value)}"#
        return (try? ExecuteRequest(parsing: Array(body.utf8))) != nil
    }
}
