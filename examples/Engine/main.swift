// The engine as a library: a model continues a text. `swift run engine-example [MODEL]` in the repository.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine

let path = CommandLine.arguments.dropFirst().first ?? "models/shakespeare"
do {
    let model = try LanguageModel(path: path, precision: .q8)
    print("\(model.facts.name): \(model.facts.parameterCount) weights")

    let prompt = "ROMEO."
    let tokens = model.tokenize(prompt)
    print("\(tokens) is \(String(decoding: try model.detokenize(tokens), as: UTF8.self))")

    let generation = try model.generate(
        prompt, maximumTokens: 48, sampling: Sampling(temperature: 0.8, topK: 40), seed: 7)
    for piece in generation { print(piece.text, terminator: "") }
    print("\n\(generation.ending.map { "\($0)" } ?? "cut off")")
} catch {
    print("\(error.code.rawValue): \(error.message)")
}
