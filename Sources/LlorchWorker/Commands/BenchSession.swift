// `bench --stdin`: one loaded model that measures what it is asked, row by row, so that a program can
// let several engines take turns. Says nothing about the others; that is scripts/bench.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchJSON
import LlorchSystem

struct BenchSession: ~Copyable {
    private let loaded: LoadedModel
    private var runner: BenchRunner

    /// What a process is before it loads anything.
    struct Beginning {
        let start = ContinuousClock.now
        let peakBytes = ProcessMemory.peakBytes()
    }

    /// Tells how long loading took, from the beginning to where a token can be computed.
    init(_ loaded: LoadedModel, chunkLength: Int?, since beginning: Beginning) throws {
        let runner = try BenchRunner(loaded.model, chunkLength: chunkLength)
        let nanoseconds = beginning.start.duration(to: .now).nanoseconds
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("load_ns", nanoseconds)
        writer.member("bytes_before", beginning.peakBytes)
        writer.member("isa", loaded.model.kernels.instructionSet.rawValue)
        writer.member("model_size", loaded.model.weightByteCount)
        writer.member("cache_size", runner.cacheByteCount)
        writer.endObject()
        try Output.writeLine(writer.bytes)
        self.loaded = loaded
        self.runner = runner
    }

    /// Until standard input ends.
    mutating func run() throws {
        let context = loaded.model.configuration.contextLength
        var lines = InputLines()
        while let line = try lines.next() {
            var writer = JSONWriter()
            writer.beginObject()
            if let test = BenchTest(parsing: line) {
                if test.fits(contextLength: context) {
                    writer.member("test", test.name)
                    writer.member("ns", runner.measureOnce(test).nanoseconds)
                } else {
                    writer.member("error", "\(test.name) does not fit a context of \(context)")
                }
            } else {
                writer.member("error", "'\(line)' is no row like pp512 or tg128 @ d16")
            }
            writer.endObject()
            try Output.writeLine(writer.bytes)
        }
    }
}
