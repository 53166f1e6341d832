// How a text longer than the context is cut, so that every token but the first is predicted once.
// Reading the windows: WindowReader.swift.
// SPDX-License-Identifier: Apache-2.0

/// One window of a text: `inputs` are read, and the tokens after `scored` of them are predicted.
package struct TextWindow: Hashable, Sendable {
    package let inputs: Range<Int>
    /// The inputs whose successor no earlier window has predicted: the last of them.
    package let scored: Range<Int>

    /// Windows of `length` inputs, each beginning `stride` tokens behind the one before.
    ///
    /// - Parameters:
    ///   - tokenCount: of the text; fewer than two have nothing to predict.
    ///   - length: inputs of a window.
    ///   - stride: 1 to `length`; `length` cuts blocks that do not overlap.
    /// - Returns: the windows in order; `scored` of all of them is every input once.
    package static func covering(tokenCount: Int, length: Int, stride: Int) -> [TextWindow] {
        precondition(
            (1...max(length, 1)) ~= stride, "a stride of \(stride) in windows of \(length)")
        var windows: [TextWindow] = []
        var scored = 0
        var start = 0
        while scored < tokenCount - 1 {
            // The last token of a window is predicted only, never read.
            let end = min(start + length, tokenCount - 1)
            windows.append(TextWindow(inputs: start..<end, scored: scored..<end))
            scored = end
            start += stride
        }
        return windows
    }
}
