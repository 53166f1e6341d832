// Finds the first stop sequence in a stream of text bytes. Holds no text: TokenPiecer.swift does.
// SPDX-License-Identifier: Apache-2.0

/// Matches several byte sequences at once, whatever the portions the bytes come in.
///
/// The match that ends first wins; of those that end on the same byte the one that begins first.
/// Comparison is by bytes, without Unicode normalisation.
package struct StopSequenceMatcher: Sendable {
    package struct Match: Sendable, Hashable {
        /// Index of the sequence in the list given.
        package var sequence: Int
        /// Bytes it takes up, the one just appended included.
        package var length: Int
    }

    /// One sequence and how much of it the latest bytes spell (Knuth, Morris and Pratt's automaton).
    private struct Pattern: Sendable {
        let bytes: [UInt8]
        /// At n: length of the longest proper prefix of the first n + 1 bytes that also ends them.
        let borders: [Int]
        var matched = 0

        init(_ bytes: [UInt8]) {
            var borders = [Int](repeating: 0, count: bytes.count)
            var border = 0
            for index in bytes.indices.dropFirst() {
                while border > 0, bytes[index] != bytes[border] {
                    border = borders[border - 1]
                }
                if bytes[index] == bytes[border] { border += 1 }
                borders[index] = border
            }
            self.bytes = bytes
            self.borders = borders
        }

        mutating func append(_ byte: UInt8) -> Bool {
            while matched > 0, byte != bytes[matched] {
                matched = borders[matched - 1]
            }
            if byte == bytes[matched] { matched += 1 }
            guard matched == bytes.count else { return false }
            matched = borders[matched - 1]
            return true
        }
    }

    private var patterns: [Pattern]

    /// Sequences without bytes never match.
    package init(_ sequences: [String]) {
        patterns = sequences.map { Pattern(Array($0.utf8)) }
    }

    /// Takes the next byte of the text; amortised constant time for each sequence.
    package mutating func append(_ byte: UInt8) -> Match? {
        var match: Match?
        for index in patterns.indices where !patterns[index].bytes.isEmpty {
            guard patterns[index].append(byte) else { continue }
            let length = patterns[index].bytes.count
            if length > match?.length ?? 0 {
                match = Match(sequence: index, length: length)
            }
        }
        return match
    }

    /// How many of the latest bytes may turn out to be the beginning of a stop sequence.
    package var possibleLength: Int {
        patterns.reduce(0) { max($0, $1.matched) }
    }
}
