// How far a model is loaded, on a terminal only; nothing where standard error is a file or a pipe.
// SPDX-License-Identifier: Apache-2.0

import LlorchSystem

/// One line that redraws itself and leaves nothing behind.
package final class ProgressBar {
    private let label: String
    private let isShown: Bool
    private var shown = -1
    private static let width = 30

    package init(_ label: String) {
        self.label = PathText.shown(label)
        isShown = Output.errorIsTerminal
    }

    /// - Parameter fraction: 0 to 1.
    package func update(_ fraction: Double) {
        let percent = Int(min(max(fraction, 0), 1) * 100)
        guard isShown, percent != shown else { return }
        shown = percent
        let filled = percent * Self.width / 100
        let bar =
            String(repeating: "█", count: filled)
            + String(repeating: "░", count: Self.width - filled)
        Output.redraw("\(label) \(bar) \(percent) %")
    }

    package func clear() {
        if isShown, shown >= 0 { Output.clearLine() }
    }
}
