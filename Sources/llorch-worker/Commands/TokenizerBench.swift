// `bench --tokenizer`: how many megabytes of UTF-8 become token ids in a second, on one thread.
// Checks the bytes, cuts, merges and makes the array of ids, as for a job; reads files before the clock.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchJSON
import LlorchProtocol
import LlorchSystem

/// One file, as one document or as several.
struct TokenizerBench {
    let file: String
    let byteCount: Int
    private let documents: [[UInt8]]

    /// What one file came to; a megabyte is 10^6 bytes.
    struct Result {
        var documentCount: Int
        var tokenCount: Int
        /// FNV-1a, 64 bits, over the ids as 32-bit units: the same digest, the same ids.
        var digest: UInt64
        var nanoseconds: [Double]
        var rates: [Double]
    }

    /// - Parameters:
    ///   - file: its path.
    ///   - documentLength: bytes after which a document ends at the next line's end; nil takes the file
    ///     whole.
    /// - Throws: `ModelFileError` for a file that cannot be read.
    init(file: String, documentLength: Int?) throws {
        let text = try ReadOnlyFile.contents(of: file, limit: 1 << 30)
        self.file = file
        byteCount = text.count
        documents = documentLength.map { Self.cut(text, after: $0) } ?? [text]
    }

    private static func cut(_ text: [UInt8], after length: Int) -> [[UInt8]] {
        var documents: [[UInt8]] = []
        var start = 0
        for index in text.indices where text[index] == UInt8(ascii: "\n") {
            guard index + 1 - start >= length else { continue }
            documents.append(Array(text[start...index]))
            start = index + 1
        }
        if start < text.count { documents.append(Array(text[start...])) }
        return documents
    }

    /// Times `repetitions` passes over the documents, after one that does not count.
    func measure(_ tokenizer: Tokenizer, repetitions: Int) throws -> Result {
        var result = Result(
            documentCount: documents.count, tokenCount: 0, digest: 0xCBF2_9CE4_8422_2325,
            nanoseconds: [], rates: [])
        for document in documents {
            let ids = try tokenizer.tokenize(bytes: document.span)
            result.tokenCount += ids.count
            for id in ids {
                result.digest = (result.digest ^ UInt64(id)) &* 0x100_0000_01B3
            }
        }
        for _ in 0..<repetitions {
            var count = 0
            let start = ContinuousClock.now
            for document in documents {
                count += try tokenizer.tokenize(bytes: document.span).count
            }
            let nanoseconds = start.duration(to: .now).nanoseconds
            precondition(count == result.tokenCount, "\(count) tokens, \(result.tokenCount) before")
            result.nanoseconds.append(nanoseconds)
            result.rates.append(Double(byteCount) * 1e3 / nanoseconds)
        }
        return result
    }
}

/// Prints the rows: Markdown as they come, JSON at the end.
struct TokenizerBenchReport {
    private let json: Bool
    private var writer = JSONWriter()

    init(json: Bool) {
        self.json = json
        if json {
            writer.beginArray()
        } else {
            Output.write(
                """
                | file | bytes | documents | tokens | threads | MB/s (min–max) |
                | --- | ---: | ---: | ---: | ---: | ---: |

                """)
        }
    }

    mutating func add(_ bench: TokenizerBench, _ result: TokenizerBench.Result) {
        let rates = result.rates.sorted()
        let (least, median, greatest) = (rates.first ?? 0, Self.median(rates), rates.last ?? 0)
        guard json else {
            let fixed = BenchReport.fixed
            let cells = [
                bench.file, "\(bench.byteCount)", "\(result.documentCount)", "\(result.tokenCount)",
                "1", "\(fixed(median)) (\(fixed(least))–\(fixed(greatest)))",
            ]
            Output.write("| " + cells.joined(separator: " | ") + " |\n")
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
        for (name, samples) in [("samples_ns", result.nanoseconds), ("samples_mbps", result.rates)]
        {
            writer.key(name)
            writer.beginArray()
            for sample in samples { writer.number(sample) }
            writer.endArray()
        }
        writer.endObject()
    }

    mutating func finish() {
        guard json else { return }
        writer.endArray()
        Output.writeLine(writer.bytes)
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
