// How well a model predicts a text: the quality figure of the field, and a probe of every logit.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LlorchEngine
import LlorchJSON
import LlorchProtocol
import LlorchSystem

struct PerplexityCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "perplexity",
        abstract: "Measures how well a model predicts a file.",
        discussion: """
            Texts longer than the context are read in windows that overlap by half, so that every token
            but the first is predicted once, from at least half a context where one is there.
            --stride sets another overlap; a stride of the whole context cuts blocks without any.

            EXAMPLES
              llorch-worker perplexity --file models/shakespeare/validation.txt --special-tokens
              llorch-worker perplexity --model gpt2 --file text.txt --precision q4 --against f32
              llorch-worker perplexity --model gpt2 --file text.txt --json --per-token
            """)

    @OptionGroup var model: ModelOptions

    @Option(help: "A file of UTF-8 text.")
    var file: String

    @Flag(help: "Reads <|endoftext|> in the file as that token; else it is text like any other.")
    var specialTokens = false

    @Option(help: "Reads only so many tokens of the file.")
    var tokens: Int?

    @Option(help: "Tokens from one window's beginning to the next; half the context if not given.")
    var stride: Int?

    @Option(
        help: """
            Another precision to compare with: both perplexities, the mean Kullback-Leibler divergence, \
            and how often the likeliest token is the same.
            """)
    var against: Precision?

    @Option(help: "Tokens of a pass. Never changes a result.")
    var chunk: Int?

    @Flag(help: "One JSON object: tokens, perplexity, and log_probabilities with --per-token.")
    var json = false

    @Flag(help: "The natural logarithm of every token's probability.")
    var perToken = false

    func validate() throws {
        guard chunk ?? 1 >= 1 else { throw ValidationError("--chunk must be at least 1") }
        guard tokens ?? 2 >= 2 else { throw ValidationError("--tokens must be at least 2") }
        guard stride ?? 1 >= 1 else { throw ValidationError("--stride must be at least 1") }
    }

    func run() throws {
        let text = try ReadOnlyFile.contents(of: file, limit: 1 << 30)
        let loaded = try model.load()
        let context = loaded.model.configuration.contextLength
        guard stride ?? 1 <= context else {
            throw CommandFailure(
                "--stride must be at most \(context), the context of \(loaded.facts.name)")
        }
        let all = try loaded.tokenizer.tokenize(
            bytes: text.span, parsingSpecialTokens: specialTokens)
        let ids = Array(all.prefix(tokens ?? all.count))
        guard ids.count >= 2 else {
            throw CommandFailure(
                "\(file) has \(ids.count) tokens; two are the least to predict one")
        }
        let stride = stride ?? context - context / 2
        let bar = ProgressBar("reading \(file)")
        var report = PerplexityReport(ids: ids)
        if let against {
            var options = model
            options.precision = against
            let reference = try options.load()
            var comparison = PrecisionComparison(
                loaded.model, reference: reference.model, chunkLength: chunk)
            let result = comparison.compare(ids, stride: stride) { bar.update($0) }
            report.logProbabilities = result.logProbabilities
            report.comparison = (against, result)
        } else {
            var measurement = PerplexityMeasurement(loaded.model, chunkLength: chunk)
            report.logProbabilities = measurement.logProbabilities(of: ids, stride: stride) {
                bar.update($0)
            }
        }
        bar.clear()
        if json {
            report.writeJSON(perToken: perToken)
        } else {
            try report.writeText(perToken ? loaded.tokenizer : nil)
        }
    }
}

/// What was measured, as a person or a program reads it.
private struct PerplexityReport {
    let ids: [TokenID]
    var logProbabilities: [Double] = []
    var comparison: (precision: Precision, result: PrecisionComparison.Result)?

    private var perplexity: Double { PerplexityMeasurement.perplexity(logProbabilities) }

    func writeJSON(perToken: Bool) {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("tokens", ids.count)
        writer.member("perplexity", perplexity)
        if let (precision, result) = comparison {
            writer.key("against")
            writer.beginObject()
            writer.member("precision", precision.rawValue)
            writer.member(
                "perplexity",
                PerplexityMeasurement.perplexity(result.referenceLogProbabilities))
            writer.member("divergence", result.meanDivergence)
            writer.member("agreement", result.agreement)
            writer.endObject()
        }
        if perToken {
            writer.key("log_probabilities")
            writer.beginArray()
            for value in logProbabilities { writer.number(value) }
            writer.endArray()
        }
        writer.endObject()
        Output.writeLine(writer.bytes)
    }

    // The tokenizer is given where a line for every token is wanted.
    func writeText(_ tokenizer: Tokenizer?) throws {
        if let tokenizer {
            for (id, value) in zip(ids.dropFirst(), logProbabilities) {
                let text = String(decoding: try tokenizer.bytes(of: id), as: UTF8.self)
                Output.write("\(value)\t\(id)\t\(text.debugDescription)\n")
            }
        }
        Output.write("tokens \(ids.count)  perplexity \(perplexity)\n")
        if let (precision, result) = comparison {
            let reference = PerplexityMeasurement.perplexity(result.referenceLogProbabilities)
            Output.write(
                "against \(precision.rawValue): perplexity \(reference)  "
                    + "divergence \(result.meanDivergence)  "
                    + "same likeliest token \(result.agreement * 100) %\n")
        }
    }
}
