// What a client of `POST /v1/completions` gets for its jobs: one document or one stream, with lists of
// log-probabilities, and never an answer with a hole.
// SPDX-License-Identifier: Apache-2.0

import LlorchHTTP
import LlorchJSON
import LlorchProtocol
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1))) struct CompletionTests {
    private static let simple: @Sendable (GenerationJob) -> Script = { _ in Script() }

    /// The number behind a job's id, of requests for several completions.
    private static func choice(_ job: GenerationJob) -> Int? {
        job.id.split(separator: "-").last.flatMap { Int($0) }
    }

    // MARK: - One document

    @Test func aCompletionIsOneDocument() async throws {
        try await Harness.run([Self.simple]) { harness in
            let answer = try await harness.complete(#""prompt":"Hi","max_tokens":3,"seed":7"#)
            #expect(answer.status == 200 && answer.header("content-type") == "application/json")
            #expect(answer.header("x-request-id") == answer.header("x-correlation-id"))
            let object = try answer.object
            #expect(
                object.members.map(\.key) == [
                    "id", "object", "created", "model", "choices", "usage", "system_fingerprint",
                ])
            #expect(object["object"]?.asString == "text_completion")
            #expect(object["model"]?.asString == "scripted")
            #expect(object["system_fingerprint"]?.asString == "5c41-f32")
            #expect(object["created"]?.asNumber?.asUInt64 ?? 0 > 1_700_000_000)
            #expect(
                object.json("choices")
                    == #"[{"index":0,"text":"Hello wörld","logprobs":null,"finish_reason":"length"}]"#
            )
            #expect(
                object.json("usage")
                    == #"{"prompt_tokens":1,"completion_tokens":3,"total_tokens":4}"#)
            let job = try #require(harness.workers[0].receivedJobs.first)
            #expect(job.id == object["id"]?.asString && job.id.hasPrefix("cmpl-"))
            #expect(job.seed == 7 && job.maximumTokens == 3 && job.leaseMilliseconds == 15_000)
        }
    }

    @Test func choicesComeInTheOrderOfPromptsAndCopies() async throws {
        try await Harness.run([{ Script(pieces: ["\(Self.choice($0) ?? -1)"]) }]) { harness in
            let answer = try await harness.complete(#""prompt":["a",  "b"],"n":2,"seed":9"#)
            let choices = try answer.object.choices
            #expect(choices.map(\.index) == [0, 1, 2, 3])
            #expect(choices.map(\.text) == ["0", "1", "2", "3"])
            // A prompt counts once, whatever the number of its completions.
            #expect(
                try answer.object.json("usage")
                    == #"{"prompt_tokens":2,"completion_tokens":4,"total_tokens":6}"#)
            let jobs = harness.workers[0].receivedJobs
            #expect(jobs.map(\.prompt) == ["a", "a", "b", "b"])
            var generator = SplitMix(seed: 9)
            #expect(jobs.map(\.seed) == [9] + (0..<3).map { _ in generator.next() })
        }
    }

    @Test func echoedTokensAreNoCompletion() async throws {
        try await Harness.run([Self.simple]) { harness in
            let answer = try await harness.complete(#""prompt":[4],"echo":true"#)
            #expect(
                try answer.object.json("usage")
                    == #"{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}"#)
            #expect(harness.workers[0].receivedJobs.first?.prompt == .ids([4]))
        }
    }

    @Test(arguments: [(StopReason.endOfText, "stop"), (.stopSequence, "stop")])
    func endsHaveOpenAIsNames(_ reason: StopReason, _ name: String) async throws {
        try await Harness.run([{ _ in Script(stopReason: reason) }]) { harness in
            let answer = try await harness.complete(#""prompt":"Hi""#)
            #expect(try answer.object.choices[0]["finish_reason"]?.asString == name)
        }
    }

    // MARK: - Log-probabilities

    /// `é` in two tokens behind a prompt's first token, then an end mark.
    private static let halves = Script(
        pieces: ["a", "é"],
        logProbabilities: [
            [TokenLogProbability(id: 1, bytes: Array("a".utf8), logProbability: nil, top: [])],
            [
                TokenLogProbability(
                    id: 2, bytes: [0xC3], logProbability: -0.5,
                    top: [.init(id: 2, bytes: [0xC3], logProbability: -0.5)]),
                TokenLogProbability(
                    id: 3, bytes: [0xA9], logProbability: -3,
                    top: [.init(id: 9, bytes: Array("\"".utf8), logProbability: -0.25)]),
            ],
        ],
        endMark: TokenLogProbability(
            id: 50_256, bytes: Array("<|endoftext|>".utf8), logProbability: -1,
            top: [.init(id: 50_256, bytes: Array("<|endoftext|>".utf8), logProbability: -1)]),
        stopReason: .endOfText)

    @Test func logProbabilitiesAreFourLists() async throws {
        try await Harness.run([{ _ in Self.halves }]) { harness in
            let answer = try await harness.complete(#""prompt":"a","echo":true,"logprobs":1"#)
            let choice = try #require(try answer.object.choices.first)
            #expect(choice.text == "aé")
            let lists = try #require(choice["logprobs"]?.asObject)
            #expect(
                lists.json("tokens")
                    == #"["a","bytes:\\xc3","bytes:\\xa9","<|endoftext|>"]"#)
            #expect(lists.json("token_logprobs") == "[null,-0.5,-3.0,-1.0]")
            // The chosen token is always there, so a map can have one entry more than was asked for.
            #expect(
                lists.json("top_logprobs")
                    == #"[null,{"bytes:\\xc3":-0.5},{"\"":-0.25,"bytes:\\xa9":-3.0},{"<|endoftext|>":-1.0}]"#
            )
            #expect(lists.json("text_offset") == "[0,1,1,2]")
            #expect(harness.workers[0].receivedJobs.first?.logProbabilities == 1)
        }
    }

    @Test func withoutAlternativesThereIsNoMap() async throws {
        try await Harness.run([{ _ in Self.halves }]) { harness in
            let answer = try await harness.complete(#""prompt":"a","logprobs":0"#)
            let lists = try #require(try answer.object.choices.first?["logprobs"]?.asObject)
            #expect(lists.json("top_logprobs") == "null")
            #expect(lists.json("token_logprobs") == "[null,-0.5,-3.0,-1.0]")
        }
    }

    @Test func theListsOfAllChunksAreThoseOfTheDocument() async throws {
        try await Harness.run([{ _ in Self.halves }]) { harness in
            let members = #""prompt":"a","echo":true,"logprobs":1"#
            let whole = try #require(
                try await harness.complete(members).object.choices.first?["logprobs"]?.asObject)
            let chunks = try await harness.complete(members + #","stream":true"#).chunks()
            for name in ["tokens", "token_logprobs", "top_logprobs", "text_offset"] {
                let pieces = chunks.flatMap(\.choices).flatMap {
                    $0["logprobs"]?.asObject?[name]?.asArray ?? []
                }
                #expect(JSONValue.array(pieces) == whole[name], "\(name)")
            }
        }
    }

    // MARK: - Chunks

    @Test func aStreamIsChunksAndDone() async throws {
        try await Harness.run([Self.simple]) { harness in
            let chunks = try await harness.complete(#""prompt":"Hi","stream":true"#).chunks()
            #expect(chunks.flatMap(\.choices).map(\.text) == ["Hel", "lo", " wörld", ""])
            #expect(
                chunks.flatMap(\.choices).map { $0.json("finish_reason") }
                    == ["null", "null", "null", "\"length\""])
            #expect(Set(chunks.map { $0.json("id") }).count == 1)
            #expect(chunks.allSatisfy { $0["usage"] == nil && $0["system_fingerprint"] != nil })
        }
    }

    @Test func usageComesLastWhereAskedFor() async throws {
        try await Harness.run([Self.simple]) { harness in
            let members =
                #""prompt":"Hi","n":2,"stream":true,"stream_options":{"include_usage":true}"#
            let chunks = try await harness.complete(members).chunks()
            #expect(chunks.dropLast().allSatisfy { $0.json("usage") == "null" })
            #expect(chunks.last?.json("choices") == "[]")
            #expect(
                chunks.last?.json("usage")
                    == #"{"prompt_tokens":1,"completion_tokens":6,"total_tokens":7}"#)
        }
    }

    @Test func choicesOfAStreamAreToldApartByTheirIndex() async throws {
        try await Harness.run([Self.simple, Self.simple]) { harness in
            let chunks = try await harness.complete(#""prompt":["a","b"],"n":3,"stream":true"#)
                .chunks()
            for index in 0..<6 {
                let mine = chunks.flatMap(\.choices).filter { $0.index == index }
                #expect(mine.compactMap(\.text).joined() == "Hello wörld")
                #expect(mine.filter { $0["finish_reason"] != .null }.count == 1)
                #expect(mine.last?["finish_reason"]?.asString == "length")
            }
        }
    }

    @Test func aWaitingStreamHasCommentsOnly() async throws {
        var settings = Harness.Settings()
        settings.timing.patience = .milliseconds(1)
        try await Harness.run([{ _ in Script(pieces: [], ending: .hold, starts: false) }], settings)
        { harness in
            let body = #"{"model":"scripted","prompt":"a","stream":true}"#
            try await StreamingClient.post("/v1/completions", body, port: harness.port) { client in
                #expect(client.status == 200)
                try await client.comment()
            }
        }
    }

    // MARK: - Failures

    private static let failing: @Sendable (GenerationJob) -> Script = { job in
        // Of several choices the first fails late, and the others never end.
        switch choice(job) {
        case 0: Script(pieces: ["a"], ending: .fail(JobFailure(.inferenceFailed, "it broke")))
        case nil: Script()
        default: .holding
        }
    }

    @Test func aFailureEndsTheStreamWithoutDone() async throws {
        try await Harness.run([Self.failing, Self.failing]) { harness in
            let answer = try await harness.complete(#""prompt":"a","n":2,"stream":true"#)
            let last = try #require(try answer.chunks(isDone: false).last)
            let error = try #require(last["error"]?.asObject)
            #expect(error["message"]?.asString == "it broke")
            #expect(error["code"]?.asString == "inference_failed")
            try await Self.untilCancelled(1, harness)
        }
    }

    @Test func aFailureOfOneChoiceIsTheAnswerOfAll() async throws {
        try await Harness.run([Self.failing, Self.failing]) { harness in
            let answer = try await harness.complete(#""prompt":"a","n":2"#)
            #expect(answer.status == 500 && answer.header("x-should-retry") == "false")
            #expect(try answer.error["message"]?.asString == "it broke")
            try await Self.untilCancelled(1, harness)
            #expect(try await harness.complete(#""prompt":"a""#).status == 200)
        }
    }

    @Test func aRefusedChoiceEndsTheOthers() async throws {
        let script: @Sendable (GenerationJob) -> Script = { job in
            Self.choice(job) == 1
                ? .refusing(JobFailure(.contextOverflow, "the prompt is too long")) : .holding
        }
        try await Harness.run([script, script]) { harness in
            let answer = try await harness.complete(#""prompt":["a","b"]"#)
            #expect(answer.status == 400)
            #expect(try answer.error.json("param") == "\"prompt\"")
            #expect(try answer.error["code"]?.asString == "context_length_exceeded")
            try await Self.untilCancelled(1, harness)
        }
    }

    @Test(arguments: ["false", "true"])
    func aClientThatLeavesWantsNoneOfItsChoices(_ stream: String) async throws {
        try await Harness.run([{ _ in .holding }, { _ in .holding }]) { harness in
            let body = #"{"model":"scripted","prompt":["a","b","c"],"stream":\#(stream)}"#
            let client = Task {
                try await StreamingClient.post("/v1/completions", body, port: harness.port) { _ in }
            }
            try await eventually {
                harness.workers.allSatisfy { !$0.receivedJobs.isEmpty }
            }
            client.cancel()
            _ = await client.result
            // The third waits, and is nobody's either.
            try await eventually {
                let page = try await MetricsPage.get(harness)
                return page["llorch_jobs_running"] == 0 && page["llorch_jobs_waiting"] == 0
            }
            for worker in harness.workers {
                #expect(worker.receivedJobs.allSatisfy { worker.received.contains(.cancel($0.id)) })
            }
        }
    }

    @Test func nothingMoreIsKeptThanMayBe() async throws {
        let kept = KeptAnswers(limit: 100)
        #expect(kept.take(60) && !kept.take(41) && kept.take(40))
        kept.free(100)
        #expect(kept.take(100))
    }

    private static func untilCancelled(_ count: Int, _ harness: Harness) async throws {
        try await eventually {
            let cancels = harness.workers.flatMap(\.received).filter {
                if case .cancel = $0 { true } else { false }
            }
            return cancels.count == count
        }
    }
}
