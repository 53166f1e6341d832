// How fast UTF-8 becomes token ids, on one thread: checking the bytes, cutting, merging, and the array of ids, as
// for a job. Files are read before the clock starts.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
package import LlorchSystem

/// One file, as one document or as several.
package struct TokenizerBench: Sendable {
    package let file: String
    package let byteCount: Int
    private let documents: [[UInt8]]

    /// What one file came to.
    package struct Result: Sendable {
        package var documentCount: Int
        package var tokenCount: Int
        /// FNV-1a, 64 bits, over the ids as 32-bit units: the same digest, the same ids.
        package var digest: UInt64
        /// One for each repetition.
        package var times: [Duration]
    }

    /// The largest file that is read, in bytes.
    private static let maximumBytes = 1 << 30

    /// - Parameters:
    ///   - file: its path.
    ///   - documentLength: bytes after which a document ends at the next line's end; nil takes the file
    ///     whole.
    /// - Throws: when the file cannot be read.
    package init(file: String, documentLength: Int?) throws(InputError) {
        let text = try InputFile.contents(of: file, limit: Self.maximumBytes)
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
    package func measure(
        _ tokenizer: Tokenizer, repetitions: Int
    ) throws(TokenizerError) -> Result {
        var result = Result(
            documentCount: documents.count, tokenCount: 0, digest: 0xCBF2_9CE4_8422_2325, times: [])
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
            result.times.append(start.duration(to: .now))
            precondition(count == result.tokenCount, "\(count) tokens, \(result.tokenCount) before")
        }
        return result
    }
}
