// Checkpoint 12 of 00 to 12: from text to text, greedily. Jobs and events: checkpoint 00.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchProtocol
import TestSupport
import Testing

/// Greedy continuations: the references' ids, and their text to the character.
///
/// Exact. Three runs are equal, and so is a job that comes after another one.
///
/// Usual mistakes: the cache not emptied between jobs, positions that go on from the job before, an
/// off-by-one in the number of tokens.
@Suite("Checkpoint 12: end to end")
struct Checkpoint12EndToEndTests {
    /// What the real model is known to say; not from our references.
    static let known = ["gpt2-medium": " I'm a little late to the party, but"]

    @Test(arguments: CheckpointModel.listed)
    func continuationsAreTheReferences(name: String) throws {
        let model = try CheckpointModel.named(name)
        try model.withSession { session in
            for prompt in model.prompts {
                let expected = prompt.continuation.ids
                #expect(!expected.isEmpty, "\(name), \(prompt.name): nothing to compare with")
                for run in 1...3 {
                    session.reset()
                    let ids = try session.continueGreedily(prompt.ids, count: expected.count)
                    #expect(ids == expected, "\(name), \(prompt.name), run \(run)")
                }
                print("\(name), \(prompt.name): \(expected.count) tokens, three runs equal")
            }
        }
    }

    @Test(arguments: CheckpointModel.listed)
    func textsAreTheReferences(name: String) throws {
        let model = try CheckpointModel.named(name)
        // A model of random weights may have no tokenizer; its manifest then tells of no text.
        let texts = model.prompts.compactMap { prompt in
            prompt.text.map { (prompt, text: $0) }
        }
        guard !texts.isEmpty else { return }
        let tokenizer = try Tokenizer(directory: model.directory)
        for (prompt, text) in texts {
            #expect(tokenizer.tokenize(text) == prompt.ids, "\(name), \(prompt.name)")
            var detokenizer = StreamingDetokenizer(tokenizer)
            var bytes: [UInt8] = []
            for token in prompt.continuation.ids { try detokenizer.append(token, to: &bytes) }
            detokenizer.finish()
            let answer = String(decoding: bytes, as: UTF8.self)
            #expect(answer == prompt.continuation.text, "\(name), \(prompt.name)")
            if prompt.name == "short", let known = Self.known[name] { #expect(answer == known) }
            print("\(name): \(text)\(answer)")
        }
    }

    /// The negative twin of "reset between jobs" is in here: without it the second job answers
    /// otherwise.
    @Test(arguments: CheckpointModel.listed)
    func aSecondJobAnswersLikeTheFirst(name: String) throws {
        let model = try CheckpointModel.named(name)
        let long = try model.prompt("long")
        let short = try model.prompt("short")
        try model.withSession { session in
            session.forward(long.ids, logits: .last)
            let first = session.lastLogits

            session.reset()
            _ = try session.continueGreedily(short.ids, count: 4)
            session.reset()
            session.forward(long.ids, logits: .last)
            #expect(session.lastLogits == first)

            session.forward(long.ids, logits: .last)
            #expect(session.lastLogits != first, "a cache that was not reset went unseen")
        }
    }
}
