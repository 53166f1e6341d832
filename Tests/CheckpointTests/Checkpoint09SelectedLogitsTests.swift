// Checkpoint 09 of 00 to 12: the row that the sampler gets. Against the rows of checkpoint 08.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import TestSupport
import Testing

/// The logits of the last position alone are the last row of all logits, bit for bit.
///
/// Exact against checkpoint 08, however the prompt was cut into passes.
///
/// Usual mistakes: the first row, the last row of the chunk buffer instead of the last one filled.
@Suite("Checkpoint 09: selected logits")
struct Checkpoint09SelectedLogitsTests {
    @Test(arguments: CheckpointModel.listed)
    func lastRowAloneEqualsTheLastOfAll(name: String) throws {
        let model = try CheckpointModel.named(name)
        for prompt in model.prompts {
            let all = try #require(try model.recording(of: prompt.name).array(.logits))
            #expect(all.shape == [prompt.ids.count, model.configuration.vocabularySize])
            let expected = all.rows(prompt.ids.count - 1..<prompt.ids.count).values
            try model.withSession { session in
                for chunk in 1...prompt.ids.count {
                    session.reset()
                    for start in stride(from: 0, to: prompt.ids.count, by: chunk) {
                        let end = min(start + chunk, prompt.ids.count)
                        session.forward(
                            Array(prompt.ids[start..<end]),
                            logits: end == prompt.ids.count ? .last : .none)
                    }
                    #expect(
                        session.lastLogits == expected,
                        "\(name), \(prompt.name), passes of \(chunk) tokens")
                }
            }
            // The negative twin: the first row is another one.
            #expect(all.rows(0..<1).values != expected)
        }
        print("\(name): equal")
    }
}
