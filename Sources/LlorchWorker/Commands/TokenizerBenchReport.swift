// The rows of `bench --tokenizer`, as a Markdown table or as JSON. Measures nothing.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchJSON
import LlorchSystem

/// Prints the rows: Markdown as they come, JSON at the end.
struct TokenizerBenchReport {
    private let json: Bool
    private var writer = JSONWriter()

    init(json: Bool) throws(OutputError) {
        self.json = json
        if json {
            writer.beginArray()
        } else {
            try Output.write(
                """
                | file | bytes | documents | tokens | threads | MB/s (min–max) |
                | --- | ---: | ---: | ---: | ---: | ---: |

                """)
        }
    }

    mutating func add(
        _ bench: TokenizerBench, _ result: TokenizerBench.Result
    ) throws(OutputError) {
        let nanoseconds = result.times.map(\.nanoseconds)
        // Megabytes of 10^6 bytes per second.
        let samples = nanoseconds.map { Double(bench.byteCount) * 1e3 / $0 }
        let rates = samples.sorted()
        let (least, median, greatest) = (rates.first ?? 0, Self.median(rates), rates.last ?? 0)
        guard json else {
            let fixed = BenchReport.fixed
            let cells = [
                bench.file, "\(bench.byteCount)", "\(result.documentCount)", "\(result.tokenCount)",
                "1", "\(fixed(median)) (\(fixed(least))–\(fixed(greatest)))",
            ]
            try Output.write("| " + cells.joined(separator: " | ") + " |\n")
            return
        }
        writer.beginObject()
        writer.member("test", "tokenize")
        writer.member("file", bench.file)
        writer.member("n_threads", 1)
        writer.member("n_bytes", bench.byteCount)
        writer.member("n_documents", result.documentCount)
        writer.member("n_tokens", result.tokenCount)
        writer.member("ids_fnv1a", Self.hexadecimal(result.digest))
        writer.member("median_mbps", median)
        writer.member("min_mbps", least)
        writer.member("max_mbps", greatest)
        for (name, samples) in [("samples_ns", nanoseconds), ("samples_mbps", samples)] {
            writer.key(name)
            writer.beginArray()
            for sample in samples { writer.number(sample) }
            writer.endArray()
        }
        writer.endObject()
    }

    mutating func finish() throws(OutputError) {
        guard json else { return }
        writer.endArray()
        try Output.writeLine(writer.bytes)
    }

    /// Of values in ascending order.
    private static func median(_ sorted: [Double]) -> Double {
        guard !sorted.isEmpty else { return 0 }
        return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
    }

    private static func hexadecimal(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
