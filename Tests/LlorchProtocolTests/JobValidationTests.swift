// Each rule of docs/wire-protocol.md, section 4.1, through the function by which HTTP reads requests.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import TestSupport
import Testing

/// Parses a body; returns its error.
func refusal(_ body: String) throws -> WireError {
    try #require(throws: WireError.self) { try ExecuteRequest(parsing: Array(body.utf8)) }
}

private func accepted(_ members: String) throws -> GenerationJob {
    let body = #"{"job_id":"j","prompt":"p""# + (members.isEmpty ? "" : ",") + members + "}"
    return try ExecuteRequest(parsing: Array(body.utf8)).job
}

private func onlyError(_ members: String) throws -> FieldError {
    let error = try refusal(#"{"job_id":"j","prompt":"p","# + members + "}")
    #expect(error.kind == .invalid)
    #expect(error.httpStatus == 400)
    #expect(error.failure.code == .invalidRequest)
    #expect(error.failure.errors.count == 1)
    return try #require(error.failure.errors.first)
}

private func text(_ count: Int, of scalar: String = "x") -> String {
    String(repeating: scalar, count: count)
}

@Suite("Job validation") struct JobValidationTests {
    @Test("absent fields have their defaults")
    func defaults() throws {
        #expect(try accepted("") == GenerationJob(id: "j", prompt: "p"))
        let job = try accepted("")
        #expect(job.maximumTokens == 2048)
        #expect(job.sampling == .default)
        #expect(job.seed == nil)
        #expect(!job.specialTokens)
        #expect(!job.echo)
        #expect(job.logProbabilities == nil)
        #expect(job.stopSequences.isEmpty)
    }

    @Test("every field arrives")
    func fields() throws {
        let job = try accepted(
            #""max_tokens":16,"temperature":0.5,"seed":18446744073709551615,"top_p":0.9,"#
                + #""top_k":4294967295,"repetition_penalty":1.5,"stop":["a","é"],"min_p":0.25,"#
                + #""special_tokens":true,"echo":true,"logprobs":5"#)
        #expect(job.maximumTokens == 16)
        #expect(job.echo)
        #expect(job.logProbabilities == 5)
        #expect(job.sampling.temperature == 0.5)
        #expect(job.seed == .max)
        #expect(job.sampling.topP == 0.9)
        #expect(job.sampling.topK == .max)
        #expect(job.sampling.repetitionPenalty == 1.5)
        #expect(job.stopSequences == ["a", "é"])
        #expect(job.sampling.minP == 0.25)
        #expect(job.specialTokens)
    }

    @Test(
        "values at the edge of their range pass",
        arguments: [
            #""max_tokens":1"#, #""max_tokens":2048"#, #""temperature":0"#, #""temperature":2"#,
            #""temperature":2.0000001"#, #""temperature":-0.0"#, #""temperature":-1e-46"#,
            #""top_p":0"#, #""top_p":1"#, #""top_p":1.00000005"#, #""min_p":0"#, #""min_p":1"#,
            #""repetition_penalty":0"#, #""repetition_penalty":2"#, #""seed":0"#, #""seed":null"#,
            #""max_tokens":null,"temperature":null,"top_p":null,"top_k":null,"min_p":null"#,
            #""repetition_penalty":null,"stop":null"#, #""stop":[]"#, #""stop":["a","b","c","d"]"#,
            #""top_k":0"#, #""logprobs":0"#, #""logprobs":10"#, #""logprobs":null,"echo":null"#,
            #""echo":true,"max_tokens":0"#, #""prompt_ids":null"#,
            #""nonsense":{"deep":[[[1]]]}"#, #""deadline_ms":"ignored over HTTP""#,
            #""resume_ids":"ignored over HTTP","x_trace":1"#,
        ])
    func edges(_ members: String) throws {
        _ = try accepted(members)
        _ = try accepted(#""stop":["\#(text(100))"]"#)
        _ = try accepted(#""stop":["\#(text(50, of: "é"))"]"#)
    }

    @Test(
        "a value out of range is told as the contract says",
        arguments: [
            (#""max_tokens":0"#, "range(1..=2048)", "max_tokens must be at least 1", "0"),
            (
                #""max_tokens":2049"#, "range(1..=2048)",
                "max_tokens must be at most 2048 (got 2049)", "2049"
            ),
            (
                #""max_tokens":4294967295"#, "range(1..=2048)",
                "max_tokens must be at most 2048 (got 4294967295)", "4294967295"
            ),
            (
                #""temperature":-0.5"#, "range(0.0..=2.0)",
                "temperature must be at least 0.0 (got -0.5)", "-0.5"
            ),
            (
                #""temperature":3.0"#, "range(0.0..=2.0)",
                "temperature must be at most 2.0 (got 3)", "3"
            ),
            (
                #""temperature":2.1"#, "range(0.0..=2.0)",
                "temperature must be at most 2.0 (got 2.1)", "2.1"
            ),
            (
                #""temperature":2.0000002"#, "range(0.0..=2.0)",
                "temperature must be at most 2.0 (got 2.0000002)", "2.0000002"
            ),
            (
                #""temperature":1e39"#, "range(0.0..=2.0)",
                "temperature must be at most 2.0 (got inf)", "inf"
            ),
            (
                #""temperature":-1e39"#, "range(0.0..=2.0)",
                "temperature must be at least 0.0 (got -inf)", "-inf"
            ),
            (
                #""top_p":-1"#, "range(0.0..=1.0)", "top_p must be at least 0.0 (got -1)", "-1"
            ),
            (
                #""top_p":1.0000001"#, "range(0.0..=1.0)",
                "top_p must be at most 1.0 (got 1.0000001)", "1.0000001"
            ),
            (
                #""repetition_penalty":-0.1"#, "range(0.0..=2.0)",
                "repetition_penalty must be at least 0.0 (got -0.1)", "-0.1"
            ),
            (
                #""repetition_penalty":2.5"#, "range(0.0..=2.0)",
                "repetition_penalty must be at most 2.0 (got 2.5)", "2.5"
            ),
            (
                #""stop":["a","b","c","d","e"]"#, "max_count(4)",
                "stop must have at most 4 sequences (got 5)", "5"
            ),
            (
                #""stop":["a",""]"#, "non_empty", "stop sequence 1 must not be empty", nil
            ),
            (
                #""stop":["\#(text(51, of: "é"))"]"#, "max_length(100)",
                "stop sequence 0 must be at most 100 characters (got 102)", nil
            ),
            (
                #""max_tokens":2049,"echo":true"#, "range(0..=2048)",
                "max_tokens must be at most 2048 (got 2049)", "2049"
            ),
            (
                #""logprobs":11"#, "range(0..=10)", "logprobs must be at most 10 (got 11)", "11"
            ),
            (
                #""prompt_ids":[1]"#, "conflicts(prompt)",
                "prompt_ids must not be there together with prompt; send one of them", nil
            ),
            (
                #""min_p":-1e-45"#, "range(0.0..=1.0)",
                "min_p must be at least 0.0 (got -0.000000000000000000000000000000000000000000001)",
                "-0.000000000000000000000000000000000000000000001"
            ),
            (
                #""min_p":1e30"#, "range(0.0..=1.0)",
                "min_p must be at most 1.0 (got 1000000000000000000000000000000)",
                "1000000000000000000000000000000"
            ),
        ] as [(String, String, String, String?)])
    func outOfRange(
        _ member: String, _ constraint: String, _ message: String, _ value: String?
    ) throws {
        let error = try onlyError(member)
        let field = member.dropFirst().prefix { $0 != "\"" }
        #expect(
            error
                == FieldError(
                    field: String(field), constraint: constraint, message: message, value: value))
    }

    @Test("prompt and job_id")
    func promptAndID() throws {
        let empty = try refusal(#"{"job_id":"","prompt":""}"#)
        #expect(
            empty.failure.errors == [
                FieldError(
                    field: "job_id", constraint: "non_empty", message: "job_id must not be empty",
                    value: ""),
                FieldError(
                    field: "prompt", constraint: "length(1..=32768)",
                    message: "prompt must not be empty"),
            ])
        // Scalars count, neither bytes nor what a reader would call characters.
        let family = "👨‍👩‍👧‍👦"
        #expect(family.unicodeScalars.count == 7)
        let longest = text(4681, of: family) + "x"
        let body = #"{"job_id":" ","prompt":""# + longest
        #expect(
            try ExecuteRequest(parsing: Array((body + #""}"#).utf8)).job.prompt == .text(longest))
        #expect(
            try refusal(body + #"x"}"#).failure.errors == [
                FieldError(
                    field: "prompt", constraint: "length(1..=32768)",
                    message: "prompt must be at most 32768 characters (got 32769)")
            ])
        _ = try ExecuteRequest(
            parsing: Array(#"{"prompt":"p","job_id":"\#(text(2048))"}"#.utf8))
        #expect(
            try refusal(#"{"prompt":"p","job_id":"\#(text(2049))"}"#).failure.errors.first
                == FieldError(
                    field: "job_id", constraint: "max_length(2048)",
                    message: "job_id must be at most 2048 bytes (got 2049)"))
    }

    @Test("all errors are collected, in the fixed order")
    func order() throws {
        let error = try refusal(
            #"{"min_p":2,"stop":["","a","b","c","d","\#(text(101))"],"repetition_penalty":3,"#
                + #""top_p":2,"temperature":9,"max_tokens":0,"prompt":"","job_id":""}"#)
        #expect(
            error.failure.errors.map { "\($0.field) \($0.constraint)" } == [
                "job_id non_empty", "prompt length(1..=32768)", "max_tokens range(1..=2048)",
                "temperature range(0.0..=2.0)", "top_p range(0.0..=1.0)",
                "repetition_penalty range(0.0..=2.0)", "stop max_count(4)", "stop non_empty",
                "stop max_length(100)", "min_p range(0.0..=1.0)",
            ])
        #expect(error.failure.message == "job_id must not be empty, and 9 more; see errors")
    }

    @Test("a flood of errors is cut off")
    func flood() throws {
        let stops = Array(repeating: "\"\"", count: 60_000).joined(separator: ",")
        let error = try refusal(#"{"job_id":"j","prompt":"p","stop":[\#(stops)]}"#)
        #expect(error.failure.errors.count == JobValidation.reportedErrors)
        #expect(error.errorsBody().count < 16_384)
    }

    @Test("the answer has the contract's shape")
    func body() throws {
        let error = try refusal(#"{"job_id":"j","prompt":"","max_tokens":0}"#)
        let expected =
            #"{"errors":[{"field":"prompt","constraint":"length(1..=32768)","#
            + #""message":"prompt must not be empty"},{"field":"max_tokens","#
            + #""constraint":"range(1..=2048)","message":"max_tokens must be at least 1","#
            + #""value":"0"}]}"#
        #expect(String(decoding: error.errorsBody(), as: UTF8.self) == expected)
    }
}

@Suite("HTTP bodies") struct HTTPBodyTests {
    @Test(
        "what is not JSON is 400",
        arguments: [
            "", " ", "{", #"{"job_id":"j","prompt":"p"} x"#, #"{"job_id":"j","prompt":"p",}"#,
            "\u{FEFF}{}", "/* */{}", #"{"job_id":"j","prompt":"p","temperature":NaN}"#,
            #"{"job_id":"j","prompt":"\ud800"}"#, "{\"job_id\":\"j\",\"prompt\":\"\0\"}",
            #"{"job_id":"j","prompt":"p","temperature":1e400}"#,
        ])
    func syntax(_ body: String) throws {
        let error = try refusal(body)
        #expect(error.kind == .syntax)
        #expect(error.httpStatus == 400)
        let field = try #require(error.failure.errors.first)
        #expect(field.field == "body")
        #expect(field.constraint == "valid_json")
        #expect(field.message.hasPrefix("Failed to parse the request body as JSON: "))
    }

    @Test(
        "JSON of the wrong shape is 422",
        arguments: [
            "[]", "null", "1", "\"x\"", "{}", #"{"job_id":"j"}"#, #"{"prompt":"p"}"#,
            #"["j","p"]"#, #"{"job_id":"j","job_id":"j","prompt":"p"}"#,
            #"{"job_id":null,"prompt":"p"}"#, #"{"job_id":7,"prompt":"p"}"#,
            #"{"job_id":"j","prompt":["p"]}"#, #"{"job_id":"j","prompt":"p","max_tokens":10.0}"#,
            #"{"job_id":"j","prompt":"p","max_tokens":-1}"#,
            #"{"job_id":"j","prompt":"p","max_tokens":4294967296}"#,
            #"{"job_id":"j","prompt":"p","max_tokens":"16"}"#,
            #"{"job_id":"j","prompt":"p","temperature":"1"}"#,
            #"{"job_id":"j","prompt":"p","temperature":true}"#,
            #"{"job_id":"j","prompt":"p","top_k":-1}"#, #"{"job_id":"j","prompt":"p","top_k":1.5}"#,
            #"{"job_id":"j","prompt":"p","seed":-1}"#, #"{"job_id":"j","prompt":"p","seed":-0}"#,
            #"{"job_id":"j","prompt":"p","seed":18446744073709551616}"#,
            #"{"job_id":"j","prompt":null}"#, #"{"job_id":"j","prompt_ids":[-1]}"#,
            #"{"job_id":"j","prompt_ids":"1,2"}"#, #"{"job_id":"j","prompt_ids":[1.5]}"#,
            #"{"job_id":"j","prompt":"p","logprobs":true}"#,
            #"{"job_id":"j","prompt":"p","echo":1}"#,
            #"{"job_id":"j","prompt":"p","stop":"a"}"#,
            #"{"job_id":"j","prompt":"p","stop":[null]}"#,
            #"{"job_id":"j","prompt":"p","stop":["a",1]}"#,
        ])
    func schema(_ body: String) throws {
        let error = try refusal(body)
        #expect(error.kind == .schema)
        #expect(error.httpStatus == 422)
        for field in error.failure.errors {
            #expect(field.field == "body")
            #expect(
                field.message.hasPrefix(
                    "Failed to deserialize the JSON body into the target type: "))
        }
        #expect(!error.failure.errors.isEmpty)
    }

    @Test("types come before values, and every wrong type is told")
    func typesFirst() throws {
        let error = try refusal(#"{"prompt":"","max_tokens":"x","top_k":1.5}"#)
        #expect(
            error.failure.errors.map { $0.message.split(separator: ": ").last } == [
                "job_id is required",
                "max_tokens must be an integer from 0 to 4294967295, found a string",
                "top_k must be an integer from 0 to 4294967295, found a number that is not",
            ])
    }

    @Test("a body over 2 MiB is 413")
    func tooLarge() throws {
        let head = #"{"job_id":"j","prompt":"p"}"#
        let full = head + text((2 << 20) - head.utf8.count, of: " ")
        _ = try ExecuteRequest(parsing: Array(full.utf8))
        let error = try refusal(full + " ")
        #expect(error.kind == .tooLarge)
        #expect(error.httpStatus == 413)
        #expect(error.failure.errors.first?.constraint == "max_bytes(2097152)")
    }

    @Test("errors never hold what was sent")
    func noEcho() throws {
        for body in [
            #"{"job_id":"j","prompt":"SECRET","max_tokens":0,"stop":["","SECRET\#(text(100))"]}"#,
            #"{"job_id":"j","prompt":["SECRET"]}"#, #"{"prompt":"SECRET"#, #"{"prompt":SECRET}"#,
            #"{"SECRET key":1,"SECRET key":1}"#,
        ] {
            let error = try refusal(body)
            #expect(!error.description.contains("SECRET"))
            #expect(!String(decoding: error.errorsBody(), as: UTF8.self).contains("SECRET"))
        }
    }

    @Test("the body of a cancel")
    func cancel() throws {
        #expect(try CancelRequest(parsing: Array(#"{"job_id":"j","x":1}"#.utf8)).jobID == "j")
        for (body, status) in [("{}", 422), (#"{"job_id":1}"#, 422), ("", 400)] {
            let error = try #require(throws: WireError.self) {
                try CancelRequest(parsing: Array(body.utf8))
            }
            #expect(error.httpStatus == status)
        }
    }
}

@Suite("positionalText") struct PositionalTextTests {
    @Test(
        "prints floats as Rust does",
        arguments: [
            (3, "3"), (2.1, "2.1"), (0, "0"), (-0.0, "-0"), (0.1, "0.1"), (100, "100"),
            (1e30, "1000000000000000000000000000000"), (1.5e-7, "0.00000015"),
            (123_456.79, "123456.79"), (.infinity, "inf"), (-.infinity, "-inf"),
            (1e16, "10000000000000000"), (16_777_216, "16777216"), (0.001, "0.001"),
            (.greatestFiniteMagnitude, "340282350000000000000000000000000000000"),
            (.leastNonzeroMagnitude, "0.000000000000000000000000000000000000000000001"),
        ] as [(Float, String)])
    func examples(_ value: Float, _ expected: String) {
        #expect(positionalText(value) == expected)
    }

    @Test("reads back as the same float", arguments: RandomSource.seeds)
    func readsBack(_ seed: UInt64) {
        var random = RandomSource(seed: seed)
        for _ in 0..<2_000 {
            let value = Float(bitPattern: UInt32(truncatingIfNeeded: random.next()))
            guard value.isFinite else { continue }
            let text = positionalText(value)
            #expect(Float(text)?.bitPattern == value.bitPattern, "\(text)")
            #expect(!text.contains("e") && !text.hasSuffix(".0"))
        }
    }
}
