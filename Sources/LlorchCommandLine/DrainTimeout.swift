// Reads `--drain-timeout`. What may still happen in that time each program says in its own help.
// SPDX-License-Identifier: Apache-2.0

package import ArgumentParser
import LlorchSystem

package enum DrainTimeout {
    /// The default of both programs.
    package static let standard = Duration.seconds(5)
    /// A day, in seconds.
    private static let longest = 86_400.0

    /// Reads seconds such as `5` or `0.1`: `@Option(help: …, transform: DrainTimeout.parse)`.
    package static func parse(_ text: String) throws(ValidationError) -> Duration {
        guard let duration = Duration(seconds: text, atMost: longest) else {
            throw ValidationError("--drain-timeout \(text): expected 0 to 86400 seconds")
        }
        return duration
    }
}
