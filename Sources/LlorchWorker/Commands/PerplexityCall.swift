// What `llorch-worker perplexity` does once its arguments are understood: reads a text with one model, or with two,
// and prints how well they predict it. Measuring: LlorchEngine/Measurement.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchJSON
import LlorchProtocol
import LlorchSystem

/// The options of `perplexity` but for the model's.
package struct PerplexityOptions: Sendable, Hashable {
    let file: String
    let specialTokens: Bool
    let maximumTokens: Int?
    let stride: Int?
    let against: Precision?
    let chunkLength: Int?
    let json: Bool
    let perToken: Bool

    /// - Parameters:
    ///   - file: the text, in UTF-8.
    ///   - specialTokens: whether `<|endoftext|>` in the text is that token.
    ///   - tokens: how many tokens of the text are read at most.
    ///   - stride: tokens from one window's beginning to the next; nil takes half the context.
    ///   - against: the name of a precision to compare with.
    ///   - chunk: tokens of a pass; nil lets the model choose.
    ///   - json: whether one JSON object is printed.
    ///   - perToken: whether the logarithm of every token's probability is printed.
    /// - Throws: for numbers that are too small, and for a name that is no precision.
    package init(
        file: String, specialTokens: Bool, tokens: Int?, stride: Int?, against: String?,
        chunk: Int?, json: Bool, perToken: Bool
    ) throws(CommandFailure) {
        guard chunk ?? 1 >= 1 else { throw CommandFailure("--chunk must be at least 1") }
        guard tokens ?? 2 >= 2 else { throw CommandFailure("--tokens must be at least 2") }
        guard stride ?? 1 >= 1 else { throw CommandFailure("--stride must be at least 1") }
        self.against = try against.map { name throws(CommandFailure) in
            guard let precision = Precision(rawValue: name) else {
                let names = Precision.allCases.map(\.rawValue).joined(separator: ", ")
                throw CommandFailure("--against must be one of \(names), found '\(name)'")
            }
            return precision
        }
        self.file = file
        self.specialTokens = specialTokens
        maximumTokens = tokens
        self.stride = stride
        chunkLength = chunk
        self.json = json
        self.perToken = perToken
    }
}

package enum PerplexityCall {
    /// The largest text that is read, in bytes.
    private static let maximumBytes = 1 << 30

    /// Measures and prints.
    ///
    /// - Parameters:
    ///   - options: the text, and what is printed.
    ///   - model: what reads the text; loaded a second time where another precision is compared with.
    /// - Throws: what cannot be read or loaded, and `CommandFailure` for a text that is too short or a stride
    ///   that is too long.
    package static func run(_ options: PerplexityOptions, model: ModelChoice) throws {
        let text = try InputFile.contents(of: options.file, limit: maximumBytes)
        let loaded = try model.load()
        let context = loaded.model.configuration.contextLength
        guard options.stride ?? 1 <= context else {
            throw CommandFailure(
                "--stride must be at most \(context), the context of \(loaded.facts.name)")
        }
        let all = try loaded.tokenizer.tokenize(
            bytes: text.span, parsingSpecialTokens: options.specialTokens)
        let ids = Array(all.prefix(options.maximumTokens ?? all.count))
        if let id = ids.first(where: { $0 >= loaded.tokenCount }) {
            throw CommandFailure(
                "\(options.file) has the added token \(id), the model has \(loaded.tokenCount) "
                    + "tokens")
        }
        guard ids.count >= 2 else {
            throw CommandFailure(
                "\(options.file) has \(ids.count) tokens; two are the least to predict one")
        }
        let stride = options.stride ?? context - context / 2
        var report = PerplexityReport(ids: ids)
        let reference = try options.against.map { try model.load(at: $0) }
        let bar = ProgressBar("reading \(options.file)")
        if let reference, let against = options.against {
            var comparison = try PrecisionComparison(
                loaded.model, reference: reference.model, chunkLength: options.chunkLength)
            let result = comparison.compare(ids, stride: stride) { bar.update($0) }
            report.logProbabilities = result.logProbabilities
            report.comparison = (against, result)
        } else {
            var measurement = try PerplexityMeasurement(
                loaded.model, chunkLength: options.chunkLength)
            report.logProbabilities = measurement.logProbabilities(of: ids, stride: stride) {
                bar.update($0)
            }
        }
        bar.clear()
        try report.checkIsFinite(options.file)
        if options.json {
            try report.writeJSON(perToken: options.perToken)
        } else {
            try report.writeText(options.perToken ? loaded.tokenizer : nil)
        }
    }
}

/// What was measured, as a person or a program reads it.
private struct PerplexityReport {
    let ids: [TokenID]
    var logProbabilities: [Double] = []
    var comparison: (precision: Precision, result: PrecisionComparison.Result)?

    private var perplexity: Double { PerplexityMeasurement.perplexity(logProbabilities) }

    /// What is printed are numbers: JSON has no others, and nobody can use them.
    func checkIsFinite(_ file: String) throws(CommandFailure) {
        let lists = [logProbabilities, comparison?.result.referenceLogProbabilities ?? []]
        for (list, name) in zip(lists, ["the model", "the model at the precision of --against"]) {
            if let index = list.firstIndex(where: { !$0.isFinite }) {
                throw CommandFailure(
                    "\(name) gives no probability for token \(index + 1) of \(file): its logits are "
                        + "beyond what numbers of 32 bits hold")
            }
            guard list.isEmpty || PerplexityMeasurement.perplexity(list).isFinite else {
                throw CommandFailure("the perplexity of \(name) on \(file) is beyond any number")
            }
        }
        guard comparison?.result.meanDivergence.isFinite ?? true else {
            throw CommandFailure("the divergence of the two precisions is beyond any number")
        }
    }

    func writeJSON(perToken: Bool) throws {
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
        try Output.writeLine(writer.bytes)
    }

    // The tokenizer is given where a line for every token is wanted.
    func writeText(_ tokenizer: Tokenizer?) throws {
        if let tokenizer {
            for (id, value) in zip(ids.dropFirst(), logProbabilities) {
                let text = String(decoding: try tokenizer.bytes(of: id), as: UTF8.self)
                try Output.write("\(value)\t\(id)\t\(text.debugDescription)\n")
            }
        }
        try Output.write("tokens \(ids.count)  perplexity \(perplexity)\n")
        if let (precision, result) = comparison {
            let reference = PerplexityMeasurement.perplexity(result.referenceLogProbabilities)
            try Output.write(
                "against \(precision.rawValue): perplexity \(reference)  "
                    + "divergence \(result.meanDivergence)  "
                    + "same likeliest token \(result.agreement * 100) %\n")
        }
    }
}
