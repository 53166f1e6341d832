// `--engine stub:ms=5,prefill=20`: how the engine of the fault tests behaves. What it answers: StubBackend.swift.
// SPDX-License-Identifier: Apache-2.0

package import LlorchQueue

/// What a `--engine` text says.
package struct StubOptions: Sendable, Hashable {
    /// Time from one token to the next.
    package var token = Duration.milliseconds(5)
    /// Time until the first token.
    package var prefill = Duration.zero
    /// Time until the model is loaded.
    package var load = Duration.zero
    /// Limits of the job table, so that tests can see what happens without replay or tombstones.
    package var limits = JobTable.Limits()

    /// Reads `stub`, or `stub:` with a list of `name=number`.
    package init(parsing text: String) throws(StubOptionError) {
        let parts = text.split(separator: ":", maxSplits: 1)
        guard parts.first == "stub" else {
            throw StubOptionError("there is no engine \"\(text)\", only stub")
        }
        for setting in parts.dropFirst().flatMap({ $0.split(separator: ",") }) {
            let pair = setting.split(separator: "=", maxSplits: 1)
            guard pair.count == 2, let number = Int(pair[1]), (0...1_000_000).contains(number)
            else {
                throw StubOptionError("\"\(setting)\" is not name=number, 0 to 1000000")
            }
            switch pair[0] {
            case "ms": token = .milliseconds(number)
            case "prefill": prefill = .milliseconds(number)
            case "load": load = .milliseconds(number)
            case "replay": limits.finished = number
            case "tombstones": limits.tombstones = number
            default:
                throw StubOptionError(
                    "\"\(pair[0])\" is none of ms, prefill, load, replay, tombstones")
            }
        }
    }
}

package struct StubOptionError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String

    init(_ problem: String) { description = "--engine: \(problem)" }
}
