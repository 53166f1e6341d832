// Log-probabilities, prompts of ids and echo, through the backend that the worker runs: the same numbers on every
// path, and those of `perplexity`.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchProtocol
import TestSupport
import Testing

/// What one job was answered with.
private struct Reply {
    var started: TokenEvent.Started?
    var ids: [TokenID] = []
    var text = ""
    var entries: [TokenLogProbability] = []
    var end: TokenEvent.End?
    var failure: JobFailure?
    /// The most events between two steps that computed something.
    var longestRun = 0

    init(to job: GenerationJob, by backend: inout CPUBackend) throws {
        do {
            try backend.start(job, queuedMilliseconds: 0)
        } catch {
            failure = error
            return
        }
        var isDone = false
        var run = 0
        while !isDone {
            let step = backend.step()
            run = step == .working ? 0 : run + 1
            longestRun = max(longestRun, run)
            switch step {
            case .working: break
            case .event(.started(let event)): started = event
            case .event(.token(let piece)):
                #expect(piece.index == job.resumeIDs.count + ids.count)
                ids += piece.ids
                text += piece.text
                entries += piece.logProbabilities
            case .event(.end(let event)): end = event
            case .event(.error(let error)): failure = error
            case .event(.metrics): break
            case .finished: isDone = true
            }
        }
    }
}

private let prompt = "ROMEO.\nBut soft, what light through yonder window breaks?"

private func job(
    _ prompt: Prompt = .text(prompt), echo: Bool = true, tokens: Int = 12, top: Int? = 3,
    temperature: Float = 0.8, stop: [String] = [], resume: [TokenID] = []
) throws -> GenerationJob {
    GenerationJob(
        id: "a", prompt: prompt, echo: echo, maximumTokens: tokens, logProbabilities: top,
        sampling: try #require(SamplingParameters(temperature: temperature, topK: 20)),
        stopSequences: stop, seed: 9, resumeIDs: resume)
}

@Suite struct LogProbabilityTests {
    private let loaded: LoadedModel

    init() throws {
        loaded = try LoadedModel(
            path: CheckpointModel.named("shakespeare").directory, precision: .f32,
            kernels: #require(Kernels(.best)))
    }

    private func reply(to job: GenerationJob, chunk: Int? = nil) throws -> Reply {
        var backend = try CPUBackend(loaded, chunkLength: chunk)
        return try Reply(to: job, by: &backend)
    }

    @Test func everyTokenIsToldAndTheSumsArePerplexitys() throws {
        let reply = try reply(to: job())
        let count = try #require(reply.started).promptTokens
        #expect(reply.end?.tokensOut == count + 12)
        #expect(reply.entries.map(\.id) == reply.ids)
        #expect(reply.text.hasPrefix(prompt))
        let first = try #require(reply.entries.first)
        #expect(first.logProbability == nil && first.top.isEmpty)
        var measurement = try PerplexityMeasurement(loaded.model)
        let expected = measurement.logProbabilities(of: reply.ids, stride: 1)
        // Temperature and top-k do not touch them.
        #expect(reply.entries.dropFirst().map(\.logProbability) == expected)
        for entry in reply.entries.dropFirst() {
            let value = try #require(entry.logProbability)
            #expect(entry.top.count == 3)
            #expect(
                entry.top.map(\.logProbability) == entry.top.map(\.logProbability).sorted(by: >))
            #expect(try #require(entry.top.first).logProbability >= value)
            if let same = entry.top.first(where: { $0.id == entry.id }) {
                #expect(same.logProbability == value)
            }
            #expect(entry.bytes == Array(try loaded.tokenizer.bytes(of: entry.id)))
        }
    }

    @Test(arguments: [1, 7, 12, 13, 64])
    func chunksDoNotChangeThem(chunk: Int) throws {
        let whole = try reply(to: job())
        let parts = try reply(to: job(), chunk: chunk)
        #expect(parts.entries == whole.entries)
        #expect(parts.text == whole.text)
    }

    @Test func theLevelOfInstructionsDoesNotChangeThem() throws {
        let expected = try reply(to: job()).entries
        for level in InstructionSet.allCases {
            guard let kernels = Kernels(level) else { continue }
            let loaded = try LoadedModel(
                path: CheckpointModel.named("shakespeare").directory, precision: .f32,
                kernels: kernels)
            var backend = try CPUBackend(loaded)
            #expect(try Reply(to: job(), by: &backend).entries == expected, "\(level)")
        }
    }

    @Test(arguments: [true, false])
    func aResumedJobTellsThoseOfTheTokensItSends(echo: Bool) throws {
        let whole = try reply(to: job(echo: echo))
        for held in 0...whole.ids.count {
            let rest = try reply(to: job(echo: echo, resume: Array(whole.ids[..<held])))
            #expect(rest.ids == Array(whole.ids[held...]), "\(held) held")
            #expect(rest.entries == Array(whole.entries[held...]), "\(held) held")
            #expect(rest.end?.tokensOut == whole.ids.count, "\(held) held")
        }
    }

    @Test func idsAreTheTextTheyStandFor() throws {
        let ids = loaded.tokenizer.tokenize(prompt)
        let byText = try reply(to: job())
        let byIDs = try reply(to: job(.ids(ids)))
        #expect(byIDs.ids == byText.ids)
        #expect(byIDs.text == byText.text)
        #expect(byIDs.entries == byText.entries)
        let plain = try reply(to: job(.ids(ids), echo: false, top: nil))
        #expect(plain.ids == Array(byText.ids.dropFirst(ids.count)))
        #expect(plain.entries.isEmpty)
        let echoed = try reply(to: job(.ids(ids), top: nil))
        #expect(echoed.ids == byText.ids)
        #expect(echoed.entries.isEmpty)
    }

    @Test(arguments: [nil, 2])
    func nothingIsGeneratedWhereNothingIsAskedFor(top: Int?) throws {
        let reply = try reply(to: job(tokens: 0, top: top))
        #expect(reply.text == prompt)
        #expect(reply.end?.stopReason == .maximumTokens)
        #expect(reply.end?.tokensOut == reply.started?.promptTokens)
        #expect(reply.entries.count == (top == nil ? 0 : reply.ids.count))
    }

    @Test func aPromptMayFillTheContextWhereNothingIsGenerated() throws {
        let context = loaded.model.configuration.contextLength
        let ids = (0..<context).map { TokenID($0 * 7 % 500) }
        let whole = try reply(to: job(.ids(ids), tokens: 0))
        #expect(whole.ids == ids)
        #expect(whole.entries.count == context)
        #expect(try reply(to: job(.ids(ids), tokens: 1)).failure?.code == .contextOverflow)
        let longer = try reply(to: job(.ids(ids + [1]), tokens: 0))
        #expect(longer.failure?.code == .contextOverflow)
        #expect(longer.failure?.errors.first?.field == "prompt_ids")
    }

    @Test func aStopSequenceIsNoneInThePrompt() throws {
        let plain = try reply(to: job(tokens: 40, top: nil))
        let answer = plain.text.dropFirst(prompt.count)
        // It ends in the prompt's last character, and would be found where the prompt were searched.
        let stop = String(try #require(prompt.last)) + String(answer.prefix(2))
        let across = try reply(to: job(tokens: 40, top: nil, stop: [stop, "soft"]))
        #expect(across.text == plain.text)
        let inside = String(answer.dropFirst(3).prefix(4))
        let stopped = try reply(to: job(tokens: 40, top: 1, stop: [inside]))
        #expect(stopped.end?.stopSequenceMatched == inside)
        #expect(stopped.text.hasPrefix(prompt))
        #expect(!stopped.text.dropFirst(prompt.count).contains(inside))
        #expect(stopped.entries.map(\.id) == stopped.ids)
    }

    /// The rows of a prompt's logits are computed in pieces between which the worker looks at its sockets.
    @Test func aStepTellsAtMostTwelveTokens() throws {
        let ids = (0..<200).map { TokenID($0 * 7 % 500) }
        let scored = try reply(to: job(.ids(ids), tokens: 1))
        #expect(scored.entries.count == 201)
        // Besides: `started` with the first token, or the generated token with `end` and `finished`.
        #expect((1...12) ~= scored.longestRun)
    }

    @Test func idsThatAreNoTokensAreRefused() throws {
        let unknown = try reply(to: job(.ids([1, 4_000_000_000])))
        #expect(unknown.failure?.code == .invalidRequest)
        #expect(unknown.failure?.errors.first?.field == "prompt_ids")
        let other = try reply(to: job(.ids([1, 2, 3]), resume: [1, 7]))
        #expect(other.failure?.errors.first?.field == "resume_ids")
    }

    @Test func theEndMarkIsTold() throws {
        // Sampled long enough, the model ends its text.
        let mark = try #require(loaded.endOfText.first)
        var backend = try CPUBackend(loaded)
        var found: TokenEvent.End?
        for seed in 0..<40 where found == nil {
            var asked = try job(.ids([mark]), echo: false, tokens: 200, top: 2, temperature: 2)
            asked.seed = UInt64(seed)
            let reply = try Reply(to: asked, by: &backend)
            #expect((reply.end?.stopReason == .endOfText) == (reply.end?.endMark != nil))
            if reply.end?.endMark != nil {
                found = reply.end
                #expect(!reply.ids.contains(mark))
            }
        }
        #expect(found?.endMark?.id == mark)
    }
}
