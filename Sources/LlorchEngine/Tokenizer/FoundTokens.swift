// The search for tokens in a text before it is cut into pieces, in llama.cpp's order: the longest first, wherever it
// stands, then the next, in what is left; of equally long ones the one with the lower id. Which tokens these are:
// ModelFile/GGUF/GGUFMarks.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

struct FoundTokens: Sendable {
    typealias Place = (range: Range<Int>, token: TokenID)

    /// Tokens of one length, by their bytes.
    private struct Group: Sendable {
        let length: Int
        var tokens: [ArraySlice<UInt8>: (id: TokenID, isAlwaysFound: Bool)] = [:]
        /// Whether one begins with a byte.
        var begins = [Bool](repeating: false, count: 256)
    }

    /// Longest first.
    private let groups: [Group]
    let isEmpty: Bool

    init(_ tokens: [GGUFVocabulary.FoundToken]) {
        var byLength: [Int: Group] = [:]
        for token in tokens {
            let bytes = Array(token.text.utf8)
            guard let first = bytes.first else { continue }
            byLength[bytes.count, default: Group(length: bytes.count)].begins[Int(first)] = true
            byLength[bytes.count]?.tokens[bytes[...]] = (TokenID(token.id), token.isAlwaysFound)
        }
        groups = byLength.values.sorted { $0.length > $1.length }
        isEmpty = groups.isEmpty
    }

    /// The tokens of `text`, and what lies between them.
    func segments(of text: Span<UInt8>, parsingSpecialTokens: Bool) -> [TextSegment] {
        var segments: [TextSegment] = []
        var end = 0
        for (range, token) in places(in: text, parsingSpecialTokens: parsingSpecialTokens) {
            if end < range.lowerBound {
                segments.append(.init(range: end..<range.lowerBound, token: nil))
            }
            segments.append(.init(range: range, token: token))
            end = range.upperBound
        }
        if end < text.count { segments.append(.init(range: end..<text.count, token: nil)) }
        return segments
    }

    /// Where tokens stand in `text`, ascending and apart.
    private func places(in text: Span<UInt8>, parsingSpecialTokens: Bool) -> [Place] {
        var places: [Place] = []
        let bytes = text.indices.map { text[$0] }
        for group in groups where group.length <= bytes.count {
            var found: [Place] = []
            var start = 0
            // Before and between tokens that were found, and behind the last.
            for end in places.map({ Optional($0.range) }) + [nil] {
                let candidates = candidates(
                    for: group, in: bytes, start..<(end?.lowerBound ?? bytes.count),
                    parsingSpecialTokens)
                found += Self.apart(candidates)
                start = end?.upperBound ?? start
            }
            if !found.isEmpty {
                places = (places + found).sorted { $0.range.lowerBound < $1.range.lowerBound }
            }
        }
        return places
    }

    /// Every place of a token, those that overlap too.
    private func candidates(
        for group: Group, in bytes: [UInt8], _ range: Range<Int>, _ parsingSpecialTokens: Bool
    ) -> [Place] {
        var candidates: [Place] = []
        guard range.count >= group.length else { return candidates }
        for place in range.lowerBound...range.upperBound - group.length
        where group.begins[Int(bytes[place])] {
            let candidate = place..<place + group.length
            if let token = group.tokens[bytes[candidate]],
                token.isAlwaysFound || parsingSpecialTokens
            {
                candidates.append((candidate, token.id))
            }
        }
        return candidates
    }

    /// Of places of one length, ascending, those that do not overlap one that comes first: by id, then by place.
    private static func apart(_ candidates: [Place]) -> [Place] {
        var isTaken = [Bool](repeating: false, count: candidates.count)
        let order = candidates.indices.sorted {
            (candidates[$0].token, $0) < (candidates[$1].token, $1)
        }
        func isFree(_ index: Int) -> Bool {
            let range = candidates[index].range
            var other = index - 1
            while other >= 0, candidates[other].range.upperBound > range.lowerBound {
                if isTaken[other] { return false }
                other -= 1
            }
            other = index + 1
            while other < candidates.count, candidates[other].range.lowerBound < range.upperBound {
                if isTaken[other] { return false }
                other += 1
            }
            return true
        }
        for index in order where isFree(index) { isTaken[index] = true }
        return candidates.indices.filter { isTaken[$0] }.map { candidates[$0] }
    }
}
