// The matcher against a search that looks at the whole text again after each byte.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import Testing

@Suite struct StopSequenceMatcherTests {
    @Test(arguments: UInt64(0)..<500)
    func findsTheFirstEndThenTheFirstBeginning(seed: UInt64) {
        var random = TextTests.Random(seed)
        // Two letters make overlaps and false starts the rule.
        func word(_ length: ClosedRange<Int>) -> String {
            String(
                (0..<Int.random(in: length, using: &random)).map { _ in
                    "ab".randomElement(using: &random) ?? "a"
                })
        }
        let stops = (0..<Int.random(in: 0...4, using: &random)).map { _ in word(1...7) }
        let text = Array(word(0...60).utf8)
        var matcher = StopSequenceMatcher(stops)
        for end in 1..<text.count + 1 {
            let seen = text[..<end]
            let match = matcher.append(text[end - 1])
            let ending = stops.filter { seen.reversed().starts(with: $0.utf8.reversed()) }
            #expect(match?.length == ending.map(\.utf8.count).max(), "\(stops) in \(seen)")
            if let match {
                #expect(stops[match.sequence].utf8.count == match.length)
                return
            }
            let possible = stops.map { stop in
                (0..<stop.utf8.count).last { seen.suffix($0).elementsEqual(stop.utf8.prefix($0)) }
                    ?? 0
            }
            #expect(matcher.possibleLength == possible.max() ?? 0, "\(stops) in \(seen)")
        }
    }

    @Test func comparesBytesNotCharacters() {
        var matcher = StopSequenceMatcher(["\u{E9}"])
        #expect("e\u{301}".utf8.allSatisfy { matcher.append($0) == nil })
        #expect("\u{E9}".utf8.map { matcher.append($0)?.length } == [nil, 2])
    }

    @Test func withoutSequencesNothingIsHeld() {
        for stops in [[], [""]] {
            var matcher = StopSequenceMatcher(stops)
            #expect("any text".utf8.allSatisfy { matcher.append($0) == nil })
            #expect(matcher.possibleLength == 0)
        }
    }
}
