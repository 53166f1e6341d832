// Checkpoint 12 of 00 to 12: from text to text, greedily, by the backend that the worker runs.
// How jobs and events travel: checkpoint 00.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchProtocol
import TestSupport
import Testing

/// Greedy answers: the references' ids, and their text to the character.
///
/// Exact. Three runs are equal, and so is a job that comes after another one.
///
/// Usual mistakes: the cache not emptied between jobs, positions that go on from the job before,
/// one token too many or too few, characters lost where a token ends inside one.
@Suite("Checkpoint 12: end to end")
struct Checkpoint12EndToEndTests {
    /// What the real model is known to answer to "Hello."; not from our references.
    static let known = ["gpt2-medium": " I'm a little late to the party, but"]

    @Test(arguments: CheckpointModel.listed)
    func answersAreTheReferences(name: String) throws {
        let model = try CheckpointModel.named(name)
        let tokenizer = try Tokenizer(directory: model.directory)
        try model.withBackend { backend in
            for prompt in model.prompts {
                let text = try #require(prompt.text, "\(name) has no tokenizer")
                #expect(tokenizer.tokenize(text) == prompt.ids, "\(name), \(prompt.name)")
                let expected = prompt.continuation
                #expect(!expected.ids.isEmpty, "\(name), \(prompt.name): nothing to compare with")
                // An end of text takes one more step, which gives nothing.
                let limit = expected.ids.count + (expected.stopReason == "EOS" ? 1 : 0)
                let first = try Answer(to: text, limit: limit, by: &backend)
                #expect(first.promptTokens == prompt.ids.count)
                #expect(first.ids == expected.ids, "\(name), \(prompt.name)")
                #expect(first.text == expected.text, "\(name), \(prompt.name)")
                #expect(first.stopReason?.rawValue == expected.stopReason)
                for _ in 2...3 {
                    #expect(try Answer(to: text, limit: limit, by: &backend) == first)
                }
                if prompt.name == "short", let known = Self.known[name] {
                    #expect(first.text == known)
                }
                print("\(name): \(text)|\(first.text)")
            }
        }
    }

    @Test(arguments: CheckpointModel.listed)
    func aSecondJobAnswersLikeTheFirst(name: String) throws {
        let model = try CheckpointModel.named(name)
        let texts = try model.prompts.map { try #require($0.text) }
        try model.withBackend { backend in
            let alone = try texts.map { try Answer(to: $0, limit: 8, by: &backend) }
            for text in texts + texts.reversed() {
                let again = try Answer(to: text, limit: 8, by: &backend)
                #expect(texts.firstIndex(of: text).map { alone[$0] } == again)
            }
            // The comparison can fail: other prompts have other answers.
            #expect(alone[0] != alone[1])
        }
    }

    /// The negative twin: what a backend that forgot to empty its cache would compute.
    @Test(arguments: CheckpointModel.listed)
    func aCacheThatIsNotEmptiedIsSeen(name: String) throws {
        let model = try CheckpointModel.named(name)
        let long = try model.prompt("long").ids
        try model.withSession { session in
            session.forward(long, logits: .last)
            let first = session.lastLogits
            session.forward(long, logits: .last)
            #expect(session.lastLogits != first)
            session.reset()
            session.forward(long, logits: .last)
            #expect(session.lastLogits == first)
        }
    }
}

/// What came of one greedy job.
private struct Answer: Equatable {
    var ids: [TokenID] = []
    var text = ""
    var stopReason: StopReason?
    var promptTokens = 0

    init(to prompt: String, limit: Int, by backend: inout CPUBackend) throws {
        let sampling = try #require(SamplingParameters(temperature: 0))
        let job = GenerationJob(
            id: "checkpoint", prompt: .text(prompt), maximumTokens: limit, sampling: sampling,
            seed: 42)
        try backend.start(job, queuedMilliseconds: 0)
        while true {
            switch backend.step() {
            case .working: continue
            case .event(.started(let started)): promptTokens = started.promptTokens
            case .event(.token(let piece)):
                #expect(piece.index == ids.count)
                ids += piece.ids
                text += piece.text
            case .event(.metrics): continue
            case .event(.end(let end)):
                #expect(end.tokensOut == ids.count)
                stopReason = end.stopReason
            case .event(.error(let failure)): throw failure
            case .finished: return
            }
        }
    }
}
