// What of the body of `POST /v1/completions` becomes jobs, and what is refused, by the names of its members.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON
import LlorchProtocol
import TestSupport
import Testing

@Suite struct CompletionRequestTests {
    private static func read(_ members: String) throws(WireError) -> CompletionRequest {
        try CompletionRequest(parsing: Array("{\(members)}".utf8))
    }

    private static let least = #""model":"m","prompt":"Hi""#

    @Test func defaultsAreOpenAIs() throws {
        let request = try Self.read(Self.least)
        #expect(request.model == "m")
        #expect(request.copies == 1 && !request.isStream && !request.includesUsage)
        #expect(
            request.jobs == [
                GenerationJob(id: "completion", prompt: "Hi", maximumTokens: 16, seed: nil)
            ])
    }

    @Test func nullCountsAsNotGiven() throws {
        let names = [
            "max_tokens", "temperature", "top_p", "n", "best_of", "stop", "seed", "logprobs",
            "echo", "user", "stream", "stream_options", "suffix", "presence_penalty",
            "frequency_penalty", "logit_bias", "prediction", "top_k", "min_p",
            "repetition_penalty",
        ]
        let members = names.map { "\"\($0)\":null" }.joined(separator: ",")
        #expect(try Self.read("\(Self.least),\(members)") == Self.read(Self.least))
    }

    @Test func whatAsksForNothingIsTaken() throws {
        let members = """
            "suffix":null,"presence_penalty":0,"frequency_penalty":0.0,"logit_bias":{},"n":3,
            "best_of":3,"user":"someone"
            """
        #expect(try Self.read("\(Self.least),\(members)").copies == 3)
    }

    @Test(
        arguments: [
            (#""a""#, [Prompt.text("a")]), (#"["a","b"]"#, [.text("a"), .text("b")]),
            ("[5,6]", [.ids([5, 6])]), ("[[5],[6,7]]", [.ids([5]), .ids([6, 7])]),
        ] as [(String, [Prompt])])
    func aPromptHasFourForms(_ json: String, _ prompts: [Prompt]) throws {
        let request = try Self.read(#""model":"m","prompt":\#(json),"seed":3,"max_tokens":4"#)
        #expect(request.jobs.map(\.prompt) == prompts)
        #expect(request.jobs.allSatisfy { $0.seed == 3 && $0.maximumTokens == 4 })
    }

    @Test(
        arguments: [
            ("0", 0), ("-1", .max), ("18446744073709551615", .max),
            ("-9223372036854775808", 1 << 63), ("42", 42),
        ] as [(String, UInt64)])
    func aSeedIsAnyIntegerOf64Bits(_ text: String, _ seed: UInt64) throws {
        #expect(try Self.read("\(Self.least),\"seed\":\(text)").jobs[0].seed == seed)
    }

    @Test func aStopSequenceMayStandAlone() throws {
        #expect(try Self.read(#"\#(Self.least),"stop":"a""#).jobs[0].stopSequences == ["a"])
        #expect(
            try Self.read(#"\#(Self.least),"stop":["a","b"]"#).jobs[0].stopSequences == ["a", "b"])
    }

    @Test func aJobHasWhatTheRequestSays() throws {
        let job = try #require(
            try Self.read(
                """
                \(Self.least),"max_tokens":0,"echo":true,"logprobs":5,"temperature":0.5,"top_p":0.9,
                "top_k":7,"min_p":0.1,"repetition_penalty":1.5,"stream":true,
                "stream_options":{"include_usage":true,"include_obfuscation":false}
                """
            ).jobs.first)
        #expect(job.maximumTokens == 0 && job.echo && job.logProbabilities == 5)
        #expect(
            job.sampling
                == SamplingParameters(
                    temperature: 0.5, topK: 7, topP: 0.9, minP: 0.1, repetitionPenalty: 1.5))
    }

    /// The member that is named, and a part of the message.
    static let refused: [(String, String, String)] = [
        (#""prompt":"a""#, "model", "model is required"),
        (#""model":"m""#, "prompt", "[50256]"),
        (#""model":"m","prompt":null"#, "prompt", "[50256]"),
        (#""model":"m","prompt":"""#, "prompt", "must not be empty"),
        (#""model":"m","prompt":[]"#, "prompt", "at least one"),
        (#""model":"m","prompt":[[]]"#, "prompt_ids", "must not be empty"),
        (#""model":"m","prompt":["a",1]"#, "prompt", "token ids"),
        (#""model":"m","prompt":[1,-1]"#, "prompt", "token ids"),
        (#""model":"m","prompt":[[1],"a"]"#, "prompt", "token ids"),
        (#""model":"m","prompt":{}"#, "prompt", "token ids"),
        (#"\#(least),"max_tokens":0"#, "max_tokens", "at least 1"),
        (#"\#(least),"max_tokens":-1"#, "max_tokens", "integer"),
        (#"\#(least),"max_tokens":2049"#, "max_tokens", "at most 2048"),
        (#"\#(least),"temperature":2.5"#, "temperature", "at most 2"),
        (#"\#(least),"top_p":-0.5"#, "top_p", "at least 0"),
        (#"\#(least),"n":0"#, "n", "1 to 16"), (#"\#(least),"n":17"#, "n", "1 to 16"),
        (#"\#(least),"n":2,"best_of":4"#, "best_of", "not supported"),
        (#"\#(least),"seed":1.5"#, "seed", "integer"),
        (#"\#(least),"seed":18446744073709551616"#, "seed", "integer"),
        (#"\#(least),"logprobs":6"#, "logprobs", "0 to 5"),
        (#"\#(least),"logprobs":true"#, "logprobs", "integer"),
        (#"\#(least),"stop":["a","b","c","d","e"]"#, "stop", "at most 4"),
        (#"\#(least),"stop":[1]"#, "stop", "a string or an array of strings"),
        (#"\#(least),"stream_options":{}"#, "stream_options", "\"stream\": true"),
        (
            #"\#(least),"stream":true,"stream_options":{"include_obfuscation":true}"#,
            "stream_options.include_obfuscation", "not supported"
        ),
        (#"\#(least),"stream":true,"stream_options":{"x":1}"#, "stream_options.x", "Unrecognized"),
        (#"\#(least),"suffix":"b""#, "suffix", "not supported"),
        (#"\#(least),"presence_penalty":0.1"#, "presence_penalty", "not supported"),
        (#"\#(least),"frequency_penalty":-2"#, "frequency_penalty", "not supported"),
        (#"\#(least),"logit_bias":{"50256":-100}"#, "logit_bias", "not supported"),
        (#"\#(least),"prediction":{"type":"content"}"#, "prediction", "not supported"),
        (#"\#(least),"user":1"#, "user", "a string"),
        (#"\#(least),"messages":[]"#, "messages", "argument supplied: messages"),
        (#"\#(least),"x_mine":null"#, "x_mine", "argument supplied: x_mine"),
        (#"\#(least),"a b":1"#, "(not a name)", "argument supplied"),
    ]

    @Test(arguments: refused)
    func whatCannotBeObeyedIsRefused(_ members: String, _ field: String, _ text: String) throws {
        let error = try #require(throws: WireError.self) { try Self.read(members) }
        #expect(error.failure.errors.map(\.field).contains(field), "\(error.failure.errors)")
        #expect(error.failure.errors.contains { $0.message.contains(text) }, "\(error)")
    }

    @Test func aRequestMayAskFor128Completions() throws {
        let prompts = Array(repeating: "\"a\"", count: 8).joined(separator: ",")
        let members = #""model":"m","prompt":[\#(prompts)],"n":16"#
        #expect(try Self.read(members).jobs.count == 8)
        let more = members.replacing("[\"a\",", with: "[\"a\",\"a\",")
        let error = try #require(throws: WireError.self) { try Self.read(more) }
        #expect(error.failure.errors.map(\.field) == ["prompt"])
    }

    @Test func whatIsNoObjectIsAnError() throws {
        for (text, kind) in [
            ("", WireError.Kind.syntax), ("{", .syntax), ("[]", .schema), ("null", .schema),
            (#"{"model":"m","model":"m"}"#, .schema),
        ] {
            let error = try #require(throws: WireError.self) {
                try CompletionRequest(parsing: Array(text.utf8))
            }
            #expect(error.kind == kind, "\(text)")
        }
    }

    /// Whatever the members hold, the body is a request within the rules or an error that says why.
    @Test func anyJSONIsARequestOrAnError() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SplitMix(seed: seed)
        var taken = 0
        for _ in 0..<3_000 {
            let body = Self.randomBody(&random)
            do throws(WireError) {
                let request = try CompletionRequest(parsing: body.serialized())
                taken += 1
                let choices = request.jobs.count * request.copies
                #expect((1...CompletionRequest.maximumChoices).contains(choices), "seed \(seed)")
                for job in request.jobs {
                    #expect(job.maximumTokens >= (job.echo ? 0 : 1), "seed \(seed)")
                    #expect((0...5).contains(job.logProbabilities ?? 0), "seed \(seed)")
                }
            } catch {
                #expect(!error.failure.errors.isEmpty, "seed \(seed)")
                #expect(error.failure.errors.count <= JobValidation.reportedErrors)
            }
        }
        #expect(taken > 0, "seed \(seed): no body was taken, so nothing was tested of jobs")
    }

    private static func randomBody(_ random: inout SplitMix) -> JSONValue {
        var object = JSONObject()
        object.append(key: "model", value: .string("m"))
        object.append(key: "prompt", value: .string("a"))
        let names = [
            "max_tokens", "temperature", "n", "stop", "seed", "logprobs", "echo", "user",
            "stream", "stream_options", "suffix", "logit_bias", "top_k", "prompt", "model", "é",
        ]
        for _ in 0..<Int.random(in: 0...3, using: &random) {
            object.append(
                key: names[Int.random(in: 0..<names.count, using: &random)],
                value: value(&random, depth: 0))
        }
        return Int.random(in: 0..<20, using: &random) == 0
            ? value(&random, depth: 0) : .object(object)
    }

    private static func value(_ random: inout SplitMix, depth: Int) -> JSONValue {
        switch Int.random(in: 0..<(depth < 3 ? 9 : 7), using: &random) {
        case 0: return .null
        case 1: return .bool(Bool.random(using: &random))
        case 2: return .number(JSONNumber(Int64.random(in: .min ... .max, using: &random)))
        case 3, 4: return .number(JSONNumber(Int64.random(in: -2...20, using: &random)))
        case 5:
            return JSONNumber(Double.random(in: -1e300...1e300, using: &random))
                .map { .number($0) } ?? .null
        case 6: return .string(["", "a", "é\u{0}", "\u{10FFFF}"][Int(random.next() % 4)])
        case 7:
            return .array(
                (0..<Int.random(in: 0...4, using: &random)).map { _ in
                    value(&random, depth: depth + 1)
                })
        default:
            var object = JSONObject()
            object.append(key: "include_usage", value: value(&random, depth: depth + 1))
            return .object(object)
        }
    }
}
