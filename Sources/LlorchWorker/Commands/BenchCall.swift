// What `llorch-worker bench` does once its arguments are understood: rows of a model, rows asked for on standard
// input, or files to tokenize. Measuring: LlorchEngine/Measurement; printing: BenchReport.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine

/// The options of `bench` that concern a model.
package struct BenchOptions: Sendable, Hashable {
    /// Nil takes half a context, 512 at most.
    let prompts: [Int]?
    /// Nil takes half a context, 128 at most.
    let generated: [Int]?
    let depths: [Int]
    let repetitions: Int
    let chunkLength: Int?
    let json: Bool
    let fromStandardInput: Bool

    /// - Parameters:
    ///   - prompt: prompt lengths like `128,512`.
    ///   - generate: numbers of generated tokens, written the same way.
    ///   - depth: tokens in the cache before each test, written the same way.
    ///   - repetitions: timed runs of each row.
    ///   - chunk: tokens of a prefill chunk; nil lets the model choose.
    ///   - json: whether rows are printed as one JSON array.
    ///   - fromStandardInput: whether rows come line by line instead.
    /// - Throws: for text that is no list of counts, and for numbers below 1.
    package init(
        prompt: String?, generate: String?, depth: String, repetitions: Int, chunk: Int?,
        json: Bool, fromStandardInput: Bool
    ) throws(CommandFailure) {
        prompts = try Self.counts(prompt)
        generated = try Self.counts(generate)
        depths = try Self.counts(depth) ?? []
        guard repetitions >= 1 else { throw CommandFailure("-r must be at least 1") }
        guard chunk ?? 1 >= 1 else { throw CommandFailure("--chunk must be at least 1") }
        self.repetitions = repetitions
        chunkLength = chunk
        self.json = json
        self.fromStandardInput = fromStandardInput
    }

    private static func counts(_ text: String?) throws(CommandFailure) -> [Int]? {
        guard let text else { return nil }
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        let counts = parts.compactMap { Int($0) }
        guard counts.count == parts.count, counts.allSatisfy({ (0...1 << 20) ~= $0 }) else {
            throw CommandFailure("'\(text)' is no list of counts like 128,512")
        }
        return counts
    }

    /// The rows for a model, in order: for each depth the prompts, then the generations.
    func tests(for facts: BenchedModel) throws(CommandFailure) -> [BenchTest] {
        let context = facts.contextLength
        let prompts = prompts ?? [min(512, context / 2)]
        let generated = generated ?? [min(128, context / 2)]
        var tests: [BenchTest] = []
        for depth in depths {
            tests += prompts.map { BenchTest(prompt: $0, depth: depth) }
            tests += generated.map { BenchTest(generated: $0, depth: depth) }
        }
        tests.removeAll { $0.count == 0 }
        if let test = tests.first(where: { !$0.fits(contextLength: context) }) {
            throw CommandFailure(
                "\(test.name) needs \(test.depth + test.count) positions, the context of "
                    + "\(facts.name) holds \(context); choose smaller -p, -n or -d")
        }
        return tests
    }
}

/// The options of `bench --tokenizer`.
package struct TokenizerBenchOptions: Sendable, Hashable {
    let files: [String]
    let documentLength: Int?
    let repetitions: Int
    let json: Bool

    /// - Parameters:
    ///   - files: what is tokenized.
    ///   - documentBytes: bytes after which a document ends at the next line's end; nil takes files whole.
    ///   - repetitions: timed passes over each file.
    ///   - json: whether rows are printed as one JSON array.
    /// - Throws: for numbers below 1.
    package init(
        files: [String], documentBytes: Int?, repetitions: Int, json: Bool
    ) throws(CommandFailure) {
        guard documentBytes ?? 1 >= 1 else {
            throw CommandFailure("--document-bytes must be at least 1")
        }
        guard repetitions >= 1 else { throw CommandFailure("-r must be at least 1") }
        self.files = files
        documentLength = documentBytes
        self.repetitions = repetitions
        self.json = json
    }
}

package enum BenchCall {
    /// Measures a model.
    ///
    /// - Parameters:
    ///   - options: which rows, and how they are printed.
    ///   - choice: the model; how long it takes to load is reported with rows from standard input.
    /// - Throws: what cannot be read or loaded, and `CommandFailure` for rows that do not fit the context.
    package static func run(_ options: BenchOptions, model choice: ModelChoice) throws {
        let beginning = BenchSession.Beginning()
        let loaded = try choice.load()
        if options.fromStandardInput {
            var session = try BenchSession(
                loaded, chunkLength: options.chunkLength, since: beginning)
            return try session.run()
        }
        let model = BenchedModel(loaded, path: try choice.path())
        let tests = try options.tests(for: model)
        var runner = try BenchRunner(loaded.model, chunkLength: options.chunkLength)
        var report = try BenchReport(model, json: options.json)
        for test in tests {
            let bar = ProgressBar(test.name)
            let samples = runner.measure(test, repetitions: options.repetitions) { bar.update($0) }
            bar.clear()
            try report.add(test, samples)
        }
        try report.finish()
    }

    /// Measures the tokenizer of a model on some files.
    ///
    /// - Parameters:
    ///   - options: which files, and how the rows are printed.
    ///   - choice: the model; only its tokenizer is read.
    /// - Throws: when the tokenizer or a file cannot be read, or a file is not UTF-8.
    package static func run(_ options: TokenizerBenchOptions, model choice: ModelChoice) throws {
        let tokenizer = try Tokenizer(model: choice.path())
        var report = try TokenizerBenchReport(json: options.json)
        for file in options.files {
            let bench = try TokenizerBench(file: file, documentLength: options.documentLength)
            try report.add(bench, bench.measure(tokenizer, repetitions: options.repetitions))
        }
        try report.finish()
    }
}
