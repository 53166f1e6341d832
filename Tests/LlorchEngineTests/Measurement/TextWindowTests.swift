// How a text is cut for a measurement: every token but the first once, the earlier windows' overlap unscored.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import Testing

@Suite struct TextWindowTests {
    @Test func blocksThatDoNotOverlap() {
        let windows = TextWindow.covering(tokenCount: 10, length: 4, stride: 4)
        #expect(windows.map(\.inputs) == [0..<4, 4..<8, 8..<9])
        #expect(windows.map(\.scored) == [0..<4, 4..<8, 8..<9])
    }

    @Test func windowsThatOverlap() {
        let windows = TextWindow.covering(tokenCount: 10, length: 5, stride: 3)
        #expect(windows.map(\.inputs) == [0..<5, 3..<8, 6..<9])
        #expect(windows.map(\.scored) == [0..<5, 5..<8, 8..<9])
    }

    @Test func everyTokenButTheFirstIsPredictedOnce() {
        for tokenCount in 0...40 {
            for length in 1...9 {
                for stride in 1...length {
                    let windows = TextWindow.covering(
                        tokenCount: tokenCount, length: length, stride: stride)
                    let scored = windows.flatMap { Array($0.scored) }
                    #expect(
                        scored == Array(0..<max(tokenCount - 1, 0)),
                        "\(tokenCount) tokens, windows of \(length), stride \(stride)")
                    for (index, window) in windows.enumerated() {
                        #expect(window.inputs.count <= length)
                        #expect(window.inputs.lowerBound == index * stride)
                        #expect(window.inputs.upperBound == window.scored.upperBound)
                        #expect(window.inputs.lowerBound <= window.scored.lowerBound)
                    }
                }
            }
        }
    }
}
