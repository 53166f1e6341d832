// How well a model predicts a text: the quality figure of the field, and a probe of every logit.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LlorchEngine
import LlorchProtocol

struct PerplexityCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "perplexity",
        abstract: "Measures how well a model predicts a file.",
        discussion: """
            Texts longer than the context are read in windows that overlap by half, so that every token
            but the first is predicted once, from at least half a context where one is there.

            EXAMPLES
              llorch-worker perplexity --file models/shakespeare/validation.txt
              llorch-worker perplexity --model gpt2 --file text.txt --json --per-token
            """)

    @OptionGroup var model: ModelOptions

    @Option(help: "A file of UTF-8 text.")
    var file: String

    @Option(help: "Tokens of a pass. Never changes a result.")
    var chunk: Int?

    @Flag(help: "One JSON object: tokens, perplexity, and log_probabilities with --per-token.")
    var json = false

    @Flag(help: "The natural logarithm of every token's probability.")
    var perToken = false

    func validate() throws {
        guard chunk ?? 1 >= 1 else { throw ValidationError("--chunk must be at least 1") }
    }

    func run() throws {
        let text = try ReadOnlyFile.contents(of: file, limit: 1 << 30)
        let loaded = try model.load()
        let ids = try loaded.tokenizer.tokenize(bytes: text.span)
        guard ids.count >= 2 else {
            throw CommandFailure(
                "\(file) has \(ids.count) tokens; two are the least to predict one")
        }
        let bar = ProgressBar("reading \(file)")
        var measurement = PerplexityMeasurement(loaded.model, chunkLength: chunk)
        let logProbabilities = measurement.logProbabilities(of: ids) { bar.update($0) }
        bar.clear()
        let mean = logProbabilities.reduce(0, +) / Double(logProbabilities.count)
        let perplexity = PerplexityMeasurement.perplexity(meanLogProbability: mean)
        if json {
            var writer = JSONWriter()
            writer.beginObject()
            writer.member("tokens", ids.count)
            writer.member("perplexity", perplexity)
            if perToken {
                writer.key("log_probabilities")
                writer.beginArray()
                for value in logProbabilities { writer.number(value) }
                writer.endArray()
            }
            writer.endObject()
            Output.writeLine(writer.bytes)
        } else {
            if perToken {
                for (id, value) in zip(ids.dropFirst(), logProbabilities) {
                    let text = String(
                        decoding: try loaded.tokenizer.bytes(of: id), as: UTF8.self)
                    Output.write("\(value)\t\(id)\t\(text.debugDescription)\n")
                }
            }
            Output.write("tokens \(ids.count)  perplexity \(perplexity)\n")
        }
    }
}
