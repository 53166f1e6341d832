// Times that a person writes as seconds.
// SPDX-License-Identifier: Apache-2.0

extension Duration {
    /// Reads seconds such as `5` or `0.1`, to the millisecond; nil for another text and outside `0...longest`.
    package init?(seconds text: String, atMost longest: Double) {
        guard let seconds = Double(text), (0...longest).contains(seconds) else { return nil }
        self = .milliseconds((seconds * 1_000).rounded())
    }
}
