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
              echo "tg128 @ d16" | llorch-worker bench --model gpt2 --stdin
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

    @Flag(
        name: .customLong("stdin"),
        help: """
            Rows come on standard input, one a line, like 'pp512' or 'tg128 @ d16'. Each is run once, \
            with no run before that does not count, and answered by a JSON line; the first line tells \
            how long loading took. For a program that runs several engines in turn.
            """)
    var fromStandardInput = false

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
        let loaded = try Tokenizer(model: model.path())
        var report = TokenizerBenchReport(json: json)
        for file in tokenizer {
            let bench = try TokenizerBench(file: file, documentLength: documentBytes)
            report.add(bench, try bench.measure(loaded, repetitions: repetitions))
        }
        report.finish()
    }

    private func benchModel() throws {
        let beginning = BenchSession.Beginning()
        let loaded = try model.load()
        if fromStandardInput {
            var session = BenchSession(loaded, chunkLength: chunk, since: beginning)
            return session.run()
        }
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

    init(prompt: Int = 0, generated: Int = 0, depth: Int) {
        self.prompt = prompt
        self.generated = generated
        self.depth = depth
    }

    /// Reads what `name` says; nil if it is nothing of the kind, or counts no token.
    init?(parsing text: String) {
        let parts = text.split(separator: " ")
        guard let test = parts.first, let count = Int(test.dropFirst(2)), count > 0 else {
            return nil
        }
        switch parts.count {
        case 1: depth = 0
        case 3 where parts[1] == "@" && parts[2].first == "d":
            guard let depth = Int(parts[2].dropFirst()), depth >= 0 else { return nil }
            self.depth = depth
        default: return nil
        }
        switch test.prefix(2) {
        case "pp": prompt = count
        case "tg": generated = count
        default: return nil
        }
    }

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
    /// The first positions of the cache that hold the first of `ids`, whatever was run since.
    private var kept = 0

    init(_ model: GPT2, chunkLength: Int?) {
        self.model = model
        cache = model.makeCache()
        activations = model.makeActivations(chunkLength: chunkLength)
    }

    var cacheByteCount: Int { cache.byteCount }

    /// Nanoseconds of each repetition, after one that does not count.
    mutating func measure(
        _ test: BenchTest, repetitions: Int, progress: (Double) -> Void
    ) -> [Double] {
        var samples: [Double] = []
        for repetition in 0...repetitions {
            let sample = measureOnce(test)
            if repetition > 0 { samples.append(sample) }
            progress(Double(repetition) / Double(repetitions))
        }
        return samples
    }

    /// Nanoseconds of one run; filling the cache to the depth is not counted.
    mutating func measureOnce(_ test: BenchTest) -> Double {
        cache.truncate(to: min(kept, test.depth))
        prefill(ids(test.depth)[cache.count...])
        kept = test.depth
        let start = ContinuousClock.now
        if test.prompt > 0 {
            prefill(ids(test.prompt)[...])
        } else {
            let token = ids(1)
            for _ in 0..<test.generated {
                model.forward(token.span, cache: &cache, activations: &activations)
            }
        }
        return start.duration(to: .now).nanoseconds
    }

    private mutating func prefill(_ ids: ArraySlice<UInt32>) {
        var first = 0
        while first < ids.count {
            let count = activations.nextChunkCount(of: ids.count - first)
            model.forward(
                ids.span.extracting(first..<first + count), cache: &cache,
                activations: &activations, logits: first + count == ids.count ? .last : .none)
            first += count
        }
    }

    /// Ids that jump through the vocabulary, as text does not repeat one row of the table.
    private func ids(_ count: Int) -> [UInt32] {
        let size = model.configuration.vocabularySize
        return (0..<count).map { UInt32(($0 * 7919 + 13) % size) }
    }
}

extension Duration {
    var nanoseconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) * 1e9 + Double(attoseconds) / 1e9
    }
}
