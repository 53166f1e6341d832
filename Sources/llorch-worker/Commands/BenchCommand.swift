// llama-bench's rows for this engine: prompt processing and token generation at a depth, one thread.
// Times the forward pass only; tokenizing and sampling are left out, as there.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LlorchEngine
import LlorchProtocol

struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measures prefill and decode in tokens per second, as llama-bench does.",
        discussion: """
            EXAMPLES
              llorch-worker bench
              llorch-worker bench --model gpt2 -p 128,512 -n 128 -d 0,896 --json
              llorch-worker bench --model gpt2 --tokenizer english.txt source.txt
            """)

    @OptionGroup var model: ModelOptions

    @Option(
        name: [.customShort("p"), .long],
        help: "Prompt lengths, like 128,512; 0 for none (default: 512, or half a smaller context).")
    var prompt: String?

    @Option(
        name: [.customShort("n"), .long],
        help: "Numbers of generated tokens; 0 for none (default: 128, or half a smaller context).")
    var generate: String?

    @Option(name: [.customShort("d"), .long], help: "Tokens in the cache before each test.")
    var depth: String = "0"

    @Option(name: [.customShort("r"), .long], help: "Repetitions.")
    var repetitions: Int = 5

    @Option(help: "Tokens of a prefill chunk.")
    var chunk: Int?

    @Option(
        parsing: .upToNextOption,
        help: "Files to tokenize, in megabytes of 10^6 bytes per second; no other test is run then."
    )
    var tokenizer: [String] = []

    @Option(help: "Cut the files into documents of this many bytes, at the next line's end.")
    var documentBytes: Int?

    @Flag(help: "A JSON array with llama-bench's field names.")
    var json = false

    func validate() throws {
        for text in [prompt ?? "0", generate ?? "0", depth] where Self.counts(text) == nil {
            throw ValidationError("'\(text)' is no list of counts like 128,512")
        }
        guard repetitions >= 1 else { throw ValidationError("-r must be at least 1") }
        guard chunk ?? 1 >= 1 else { throw ValidationError("--chunk must be at least 1") }
        guard documentBytes ?? 1 >= 1 else {
            throw ValidationError("--document-bytes must be at least 1")
        }
    }

    func run() throws {
        if tokenizer.isEmpty { try benchModel() } else { try benchTokenizer() }
    }

    private func benchTokenizer() throws {
        let loaded = try Tokenizer(directory: model.path())
        var report = TokenizerBenchReport(json: json)
        for file in tokenizer {
            let bench = try TokenizerBench(file: file, documentLength: documentBytes)
            report.add(bench, try bench.measure(loaded, repetitions: repetitions))
        }
        report.finish()
    }

    private func benchModel() throws {
        let loaded = try model.load()
        let context = loaded.model.configuration.contextLength
        let prompts = prompt.flatMap(Self.counts) ?? [min(512, context / 2)]
        let generated = generate.flatMap(Self.counts) ?? [min(128, context / 2)]
        var tests: [BenchTest] = []
        for depth in Self.counts(depth) ?? [] {
            tests += prompts.map { BenchTest(prompt: $0, depth: depth) }
            tests += generated.map { BenchTest(generated: $0, depth: depth) }
        }
        tests.removeAll { $0.count == 0 }
        if let test = tests.first(where: { $0.depth + $0.count > context }) {
            throw CommandFailure(
                "\(test.name) needs \(test.depth + test.count) positions, the context of "
                    + "\(loaded.facts.name) holds \(context); choose smaller -p, -n or -d")
        }
        var runner = BenchRunner(loaded.model, chunkLength: chunk)
        var report = BenchReport(loaded.facts, loaded.model, path: try model.path(), json: json)
        for test in tests {
            let bar = ProgressBar(test.name)
            let samples = runner.measure(test, repetitions: repetitions) { bar.update($0) }
            bar.clear()
            report.add(test, nanoseconds: samples)
        }
        report.finish()
    }

    private static func counts(_ text: String) -> [Int]? {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        let counts = parts.compactMap { Int($0) }
        guard counts.count == parts.count, counts.allSatisfy({ (0...1 << 20) ~= $0 }) else {
            return nil
        }
        return counts
    }
}

/// One row: a prompt, or generation one by one, behind `depth` tokens.
struct BenchTest {
    var prompt = 0
    var generated = 0
    var depth: Int

    var count: Int { prompt + generated }

    /// `pp512`, `tg128 @ d896`.
    var name: String {
        let test = prompt > 0 ? "pp\(prompt)" : "tg\(generated)"
        return depth > 0 ? "\(test) @ d\(depth)" : test
    }
}

/// Runs rows on one model.
struct BenchRunner: ~Copyable {
    private let model: GPT2
    private var cache: KVCache
    private var activations: Activations

    init(_ model: GPT2, chunkLength: Int?) {
        self.model = model
        cache = model.makeCache()
        activations = model.makeActivations(chunkLength: chunkLength)
    }

    /// Nanoseconds of each repetition, after one that does not count.
    mutating func measure(
        _ test: BenchTest, repetitions: Int, progress: (Double) -> Void
    ) -> [Double] {
        cache.reset()
        prefill(ids(test.depth))
        var samples: [Double] = []
        for repetition in 0...repetitions {
            cache.truncate(to: test.depth)
            let start = ContinuousClock.now
            if test.prompt > 0 {
                prefill(ids(test.prompt))
            } else {
                let token = ids(1)
                for _ in 0..<test.generated {
                    model.forward(token.span, cache: &cache, activations: &activations)
                }
            }
            let (seconds, attoseconds) = start.duration(to: .now).components
            if repetition > 0 {
                samples.append(Double(seconds) * 1e9 + Double(attoseconds) / 1e9)
            }
            progress(Double(repetition) / Double(repetitions))
        }
        return samples
    }

    private mutating func prefill(_ ids: [UInt32]) {
        for first in stride(from: 0, to: ids.count, by: activations.chunkLength) {
            let count = min(activations.chunkLength, ids.count - first)
            model.forward(
                ids.span.extracting(first..<first + count), cache: &cache,
                activations: &activations, logits: first + count == ids.count ? .last : .none)
        }
    }

    /// Ids that jump through the vocabulary, as text does not repeat one row of the table.
    private func ids(_ count: Int) -> [UInt32] {
        let size = model.configuration.vocabularySize
        return (0..<count).map { UInt32(($0 * 7919 + 13) % size) }
    }
}
