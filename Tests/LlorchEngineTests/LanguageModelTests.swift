// The engine's public face, as another package would use it: what it gives is what the worker gives for the same job,
// and what is wrong is told with a code. That nothing else is public: ArchitectureTests.
// SPDX-License-Identifier: Apache-2.0

import Foundation
import LlorchEngine
import LlorchProtocol
import TestSupport
import Testing

@Suite struct LanguageModelTests {
    private static let repository = URL(filePath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
    private static let path = repository.appending(path: "models/shakespeare").path

    @Test func loadsWithProgress() throws {
        var fractions: [Double] = []
        let model = try LanguageModel(path: Self.path, precision: .q4) { fractions.append($0) }
        #expect(fractions == fractions.sorted() && fractions.last == 1)
        let loaded = try LoadedModel(path: Self.path, precision: .q4, kernels: .generic)
        #expect(model.facts.name == "shakespeare")
        #expect(model.facts.digest == loaded.facts.digest)
        #expect(model.facts.parameterCount == loaded.model.parameterCount)
        #expect(model.facts.contextLength == 256)
        #expect(model.facts.vocabularySize == loaded.facts.vocabularySize)
        #expect(model.facts.memoryBytes < 4 * model.facts.parameterCount)
    }

    @Test func tokenizesAndBack() throws {
        let model = try LanguageModel(path: Self.path)
        let text = "To be, or not to be: ☂"
        #expect(try model.detokenize(model.tokenize(text)) == Array(text.utf8))
        let error = #expect(throws: LanguageModelError.self) {
            try model.detokenize([UInt32.max])
        }
        #expect(error?.code == .invalidRequest)
    }

    /// The worker's backend is given the same job.
    @Test(arguments: [Sampling(temperature: 0), Sampling(temperature: 0.8, topK: 40)])
    func generatesWhatTheWorkerGenerates(sampling: Sampling) throws {
        let model = try LanguageModel(path: Self.path)
        let generation = try model.generate(
            "ROMEO.", maximumTokens: 24, sampling: sampling, seed: 7)
        let pieces = Array(generation)
        #expect(generation.seed == 7 && generation.ending == .maximumTokens)
        #expect(generation.next() == nil)

        var backend = try CPUBackend(
            try LoadedModel(path: Self.path, precision: .f32, kernels: .generic))
        let parameters = try #require(
            SamplingParameters(temperature: sampling.temperature, topK: UInt32(sampling.topK)))
        try backend.start(
            GenerationJob(
                id: "a", prompt: "ROMEO.", maximumTokens: 24, sampling: parameters, seed: 7),
            queuedMilliseconds: 0)
        var expected: [TokenEvent.TokenPiece] = []
        var isRunning = true
        while isRunning {
            switch backend.step() {
            case .event(.token(let piece)): expected.append(piece)
            case .finished: isRunning = false
            case .working, .event: continue
            }
        }
        #expect(pieces.map(\.text) == expected.map(\.text))
        #expect(pieces.map(\.tokens) == expected.map(\.ids))
        #expect(pieces.flatMap(\.tokens).count == 24)
    }

    @Test func anUnknownSeedIsTold() throws {
        let model = try LanguageModel(path: Self.path)
        let first = try model.generate("JULIET.", maximumTokens: 12)
        let again = try model.generate("JULIET.", maximumTokens: 12, seed: first.seed)
        #expect(first.map(\.text) == again.map(\.text), "seed \(first.seed)")
    }

    @Test func aStopSequenceEndsTheText() throws {
        let model = try LanguageModel(path: Self.path)
        let greedy = Sampling(temperature: 0)
        let whole = try model.generate("ROMEO.", maximumTokens: 48, sampling: greedy)
            .map(\.text).joined()
        let stop = try #require(whole.split(separator: " ").dropFirst(3).first).description
        let generation = try model.generate(
            "ROMEO.", maximumTokens: 48, sampling: greedy, stopSequences: [stop])
        let text = generation.map(\.text).joined()
        #expect(whole.hasPrefix(text + stop) && !text.contains(stop))
        #expect(generation.ending == .stopSequence(stop))
    }

    @Test func cancelEndsTheText() throws {
        let model = try LanguageModel(path: Self.path)
        let generation = try model.generate("ROMEO.", maximumTokens: 200, seed: 1)
        var count = 0
        for _ in generation {
            count += 1
            if count == 3 { generation.cancel() }
        }
        #expect(count == 3 && generation.ending == .cancelled)
    }

    @Test func saysWhatIsWrong() throws {
        let model = try LanguageModel(path: Self.path)
        func code(_ body: () throws -> Void) -> LanguageModelError.Code? {
            #expect(throws: LanguageModelError.self, performing: body)?.code
        }
        #expect(code { _ = try model.generate("") } == .invalidRequest)
        #expect(code { _ = try model.generate("a", maximumTokens: 0) } == .invalidRequest)
        #expect(
            code { _ = try model.generate("a", sampling: Sampling(temperature: .nan)) }
                == .invalidRequest)
        #expect(
            code { _ = try model.generate("a", sampling: Sampling(topK: -1)) } == .invalidRequest)
        let long = String(repeating: "To be, or not to be. ", count: 200)
        #expect(code { _ = try model.generate(long) } == .contextOverflow)

        let directory = try TemporaryDirectory()
        #expect(
            code { _ = try LanguageModel(path: directory.path + "/absent") } == .modelNotFound)
        try directory.write("GGUF", to: "short.gguf")
        #expect(
            code { _ = try LanguageModel(path: directory.path + "/short.gguf") } == .modelMalformed)
        try directory.write("text", to: "text.txt")
        #expect(
            code { _ = try LanguageModel(path: directory.path + "/text.txt") } == .modelUnsupported)
    }

    /// `maximumTokens` may be any number: the context ends the text.
    @Test func theContextEndsTheText() throws {
        let model = try LanguageModel(path: Self.path)
        let prompt = String(repeating: "ROMEO.\n", count: 60)
        let room = model.facts.contextLength - model.tokenize(prompt).count
        try #require(room > 0)
        let generation = try model.generate(
            prompt, maximumTokens: .max, sampling: Sampling(temperature: 0), seed: 1)
        let count = generation.reduce(0) { $0 + $1.tokens.count }
        #expect(count <= room)
        if generation.ending == .maximumTokens { #expect(count == room) }
    }
}
