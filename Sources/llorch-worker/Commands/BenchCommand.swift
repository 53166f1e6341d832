// The arguments of `bench`, which has llama-bench's rows for this engine. What the command does:
// LlorchWorker/Commands/BenchCall.swift.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LlorchCommandLine
import LlorchWorker

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
        name: [.customShort("p"), .long], parsing: .unconditional,
        help: "Prompt lengths, like 128,512; 0 for none (default: 512, or half a smaller context).")
    var prompt: String?

    @Option(
        name: [.customShort("n"), .long], parsing: .unconditional,
        help: "Numbers of generated tokens; 0 for none (default: 128, or half a smaller context).")
    var generate: String?

    @Option(
        name: [.customShort("d"), .long], parsing: .unconditional,
        help: "Tokens in the cache before each test.")
    var depth: String = "0"

    @Option(
        name: [.customShort("r"), .long], parsing: .unconditional, help: "Repetitions.")
    var repetitions: Int = 5

    @Option(parsing: .unconditional, help: "Tokens of a prefill chunk.")
    var chunk: Int?

    @Option(
        parsing: .upToNextOption,
        help: "Benchmark the tokenizer on these files instead (MB/s)."
    )
    var tokenizer: [String] = []

    @Option(
        parsing: .unconditional,
        help: "Cut the files into documents of this many bytes, at the next line's end.")
    var documentBytes: Int?

    @Flag(help: "A JSON array with llama-bench's field names.")
    var json = false

    @Flag(
        name: .customLong("stdin"),
        help: """
            Read rows from standard input, one a line, like 'pp512' or 'tg128 @ d16'. Each row is run \
            once, without warm-up, and answered by a JSON line; the first line tells how long loading \
            took. For a program that runs several engines in turn.
            """)
    var fromStandardInput = false

    func validate() throws {
        _ = try modelOptions()
        _ = try tokenizerOptions()
    }

    func run() throws {
        if tokenizer.isEmpty {
            try BenchCall.run(modelOptions(), model: model.choice())
        } else {
            try BenchCall.run(tokenizerOptions(), model: model.choice())
        }
    }

    private func modelOptions() throws -> BenchOptions {
        try Program.checkUsage {
            try BenchOptions(
                prompt: prompt, generate: generate, depth: depth, repetitions: repetitions,
                chunk: chunk, json: json, fromStandardInput: fromStandardInput)
        }
    }

    private func tokenizerOptions() throws -> TokenizerBenchOptions {
        try Program.checkUsage {
            try TokenizerBenchOptions(
                files: tokenizer, documentBytes: documentBytes, repetitions: repetitions, json: json
            )
        }
    }
}
