// How soon a worker hears what is sent to it: steps of the engine between two looks at the sockets, and multiply-adds
// of one step. Times follow from both; scripts/bench measures them.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchProtocol
import LlorchWorker
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct LookTests {
    /// Each step of the engine takes the same virtual time; no other time passes.
    @Test(arguments: [(10, 1), (50, 1), (5, 2), (1, 10)])
    func theSocketsAreLookedAtBetweenSteps(milliseconds step: Int, most: Int) throws {
        let clock = MovedClock(isRunning: false)
        let stages = Stages()
        let loop = try LoopUnderTest(watch: .init(clock: clock.now, onStage: stages.add)) { _ in
            ScriptedBackend(compute: { _ in clock.pass(.milliseconds(step)) }) { _ in
                var script = ScriptedBackend.Script()
                script.prefillSteps = 100
                script.stepsPerToken = 12
                return script
            }
        }
        try loop.send(.job(job("a", tokens: 20), attempt: 1))
        #expect(try loop.terminal(of: "a").failure == nil)
        var runs: [Int] = []
        var steps = 0
        for stage in stages.all {
            switch stage {
            case .stepDone, .eventBegins(.token(_)): steps += 1
            case .looked:
                runs.append(steps)
                steps = 0
            default: break
            }
        }
        #expect(runs.max() == most)
        // Not more often than that either, or the looks would cost more than the steps.
        #expect(runs.filter { $0 == most }.count >= 300 / most)
    }

    @Test func noStepFollowsTheMessageThatCancelsAJob() throws {
        let stages = Stages()
        let loop = try LoopUnderTest(watch: .init(onStage: stages.add)) { _ in
            ScriptedBackend(script: { _ in .endless })
        }
        try loop.send(.job(job("a"), attempt: 1))
        try loop.wait { events in events.contains { $0.isStart } }
        try loop.control(.cancel(reference("a")))
        #expect(try loop.terminal(of: "a").failure == .cancelled)
        let all = stages.all
        let cancel = try #require(all.lastIndex(of: .messageReceived))
        #expect(all[..<cancel].contains(.stepDone), "the job was running")
        #expect(!all[cancel...].contains(.stepDone))
    }

    // MARK: - One step of the real engine

    /// A pass over the model takes a step for each layer and one for the logits, however many tokens are in it.
    @Test(arguments: [24, 48, 256])
    func aStepIsAtMostOneLayerOfOneChunk(chunkLength: Int) throws {
        let model = try LoadedModel(
            path: CheckpointModel.named("shakespeare").directory, precision: .f32,
            kernels: #require(Kernels(.generic)))
        let layers = model.model.configuration.layerCount
        let (prompt, tokens) = (100, 6)
        var backend = try CPUBackend(model, chunkLength: chunkLength)
        try backend.start(
            GenerationJob(
                id: "a", prompt: .ids((0..<prompt).map { TokenID($0 * 7 % 500) }),
                maximumTokens: tokens,
                sampling: #require(SamplingParameters(temperature: 0)), seed: 1),
            queuedMilliseconds: 0)
        var working = 0
        var ended = false
        loop: while true {
            switch backend.step() {
            case .working: working += 1
            case .event(.end(let end)):
                #expect(end.tokensOut == tokens)
                ended = true
            case .event: continue
            case .finished: break loop
            }
        }
        #expect(ended)
        let chunks = (prompt + chunkLength - 1) / chunkLength
        let passes = chunks + tokens - 1
        // The last step of a pass may give an event in place of `working`.
        let most = passes * (layers + 1)
        #expect((most - tokens...most).contains(working), "\(working) steps, \(passes) passes")
    }

    /// Stated in docs/decisions/0001 as "within one layer": 2.5·10⁹ multiply-adds, 60 ms at 80 GFLOP/s.
    @Test(arguments: [768, 1_024, 1_280, 1_600], Precision.allCases)
    func aStepOfAPublishedModelIsBounded(hiddenSize width: Int, precision: Precision) {
        let (context, vocabulary) = (1_024, 50_257)
        let chunk = min(
            GPT2.preferredChunkLength(
                hiddenSize: width, feedForwardSize: 4 * width, precision: precision), context)
        // Query, key and value; the output of attention; up and down in the feed-forward network.
        let weights = chunk * (3 * width * width + width * width + 2 * width * 4 * width)
        // Scores and weighted values, with the longest cache.
        let attention = chunk * context * 2 * width
        #expect(weights + attention <= 2_500_000_000)
        // The step behind the last layer multiplies one row by the token table.
        #expect(vocabulary * width <= 2_500_000_000)
        // Nor is the chunk so short that weights would be read for a few rows.
        #expect(chunk >= 24)
    }
}

/// The stages that a loop came by.
private final class Stages: Sendable {
    private let stages = Mutex<[WorkerStage]>([])

    var all: [WorkerStage] { stages.withLock { $0 } }

    func add(_ stage: WorkerStage) { stages.withLock { $0.append(stage) } }
}
