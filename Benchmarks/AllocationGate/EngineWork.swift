// The kinds of work whose allocations are counted, each from its first token on: nothing is warmed up.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchJSON
import LlorchProtocol

/// One row: what was done how often, and what it took from the heap.
struct EngineWork {
    var name: String
    /// Tokens, passes or steps.
    var count: Int
    var allocations: UInt64
    var bytes: UInt64

    init(_ name: String, count: Int, _ meter: Meter) {
        self.name = name
        self.count = count
        allocations = meter.allocations
        bytes = meter.bytes
    }

    func write(_ precision: Precision, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("precision", precision.rawValue)
        writer.member("work", name)
        writer.member("count", count)
        writer.member("allocations", allocations)
        writer.member("bytes", bytes)
        writer.endObject()
    }

    static func measured(
        _ loaded: LoadedModel, _ meter: inout Meter
    ) throws -> [EngineWork] {
        var rows: [EngineWork] = []
        for (name, settings) in settings {
            rows += try decode(loaded, name, settings, &meter)
        }
        return rows + (try steps(loaded, &meter))
    }

    /// Every way to choose a token.
    private static let settings: [(String, SamplingSettings)] = [
        ("greedy", SamplingSettings(temperature: 0)),
        ("temperature", SamplingSettings(temperature: 0.8)),
        ("top-k", SamplingSettings(topK: 40)),
        ("top-p", SamplingSettings(topP: 0.9)),
        ("min-p", SamplingSettings(minP: 0.05)),
        ("penalty", SamplingSettings(temperature: 0, repetitionPenalty: 1.1)),
        (
            "all",
            SamplingSettings(
                temperature: 0.8, topK: 40, topP: 0.9, minP: 0.05, repetitionPenalty: 1.1)
        ),
    ]

    /// A prompt of two chunks, then tokens to the context's edge.
    private static func decode(
        _ loaded: LoadedModel, _ name: String, _ settings: SamplingSettings, _ meter: inout Meter
    ) throws -> [EngineWork] {
        let model = loaded.model
        let context = model.configuration.contextLength
        let vocabularySize = loaded.tokenizer.vocabularySize
        let chunk = max(1, min(16, context / 4))
        var cache = try model.makeCache()
        var activations = try model.makeActivations(chunkLength: chunk)
        var sampler = Sampler(vocabularySize: vocabularySize, kernels: model.kernels)
        sampler.start(settings, seed: 7)
        let prompt = (0..<2 * chunk).map { UInt32(($0 * 7919 + 13) % vocabularySize) }
        var token: [UInt32] = [0]
        meter.reset()
        for first in [0, chunk] {
            meter.measure {
                model.forward(
                    prompt.span.extracting(first..<first + chunk), cache: &cache,
                    activations: &activations)
            }
        }
        let prefill = EngineWork("prefill, \(name)", count: 2, meter)
        meter.reset()
        for _ in prompt.count..<context {
            try meter.measure { () throws(SamplingError) in
                token[0] = try draw(from: activations.logits, with: &sampler)
                model.forward(token.span, cache: &cache, activations: &activations)
            }
        }
        return [prefill, EngineWork("decode, \(name)", count: context - prompt.count, meter)]
    }

    private static func draw(
        from logits: borrowing Matrix, with sampler: inout Sampler
    ) throws(SamplingError) -> UInt32 {
        try sampler.sample(logits.row(0).extracting(first: sampler.vocabularySize))
    }

    /// A streamed job through the backend: steps between events, and steps that give one.
    private static func steps(
        _ loaded: LoadedModel, _ meter: inout Meter
    ) throws -> [EngineWork] {
        let context = loaded.model.configuration.contextLength
        var backend = try CPUBackend(loaded)
        var working = meter
        var token = meter
        working.reset()
        token.reset()
        var (workingCount, tokenCount) = (0, 0)
        // Two jobs, so that the second shows what the first left allocated.
        for seed: UInt64 in [7, 8] {
            try backend.start(
                job(seed: seed, maximumTokens: context / 2), queuedMilliseconds: 0)
            var isRunning = true
            while isRunning {
                var step = meter
                step.reset()
                switch step.measure({ backend.step() }) {
                case .working:
                    working.add(step)
                    workingCount += 1
                case .event(.token):
                    token.add(step)
                    tokenCount += 1
                case .event: continue
                case .finished: isRunning = false
                }
            }
        }
        return [
            EngineWork("step without an event", count: workingCount, working),
            EngineWork("step with a token event", count: tokenCount, token),
        ]
    }

    private static func job(seed: UInt64, maximumTokens: Int) throws -> GenerationJob {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("job_id", "allocations")
        writer.member("prompt", "The quick brown fox jumps over the lazy dog.")
        writer.member("max_tokens", maximumTokens)
        writer.member("temperature", 0.8)
        writer.member("top_k", 40)
        writer.member("seed", seed)
        writer.endObject()
        return try ExecuteRequest(parsing: writer.bytes).job
    }
}
