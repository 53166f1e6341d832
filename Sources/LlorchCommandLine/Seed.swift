// Reads `--seed`: what it is for is said by the command that has it.
// SPDX-License-Identifier: Apache-2.0

package import ArgumentParser

package enum Seed {
    /// Reads a whole number: `@Option(help: …, transform: Seed.parse)`.
    package static func parse(_ text: String) throws(ValidationError) -> UInt64 {
        guard let seed = UInt64(text) else {
            throw ValidationError("--seed \(text): expected a whole number, 0 to \(UInt64.max)")
        }
        return seed
    }
}
