// One row of a benchmark, by llama-bench's names: how many tokens are computed, behind how many others.
// Running it: BenchRunner.swift.
// SPDX-License-Identifier: Apache-2.0

/// A prompt, or generation one by one, behind `depth` tokens.
package struct BenchTest: Sendable, Hashable {
    package var prompt = 0
    package var generated = 0
    /// Tokens in the cache before the clock starts.
    package var depth: Int

    /// Tokens that are timed.
    package var count: Int { prompt + generated }

    package init(prompt: Int = 0, generated: Int = 0, depth: Int) {
        self.prompt = prompt
        self.generated = generated
        self.depth = depth
    }

    /// Reads a name as `name` has it; nil if `text` is none, or counts no token.
    package init?(parsing text: String) {
        let parts = text.split(separator: " ")
        guard let test = parts.first, let count = Int(test.dropFirst(2)), count > 0 else {
            return nil
        }
        switch parts.count {
        case 1: depth = 0
        case 3 where parts[1] == "@" && parts[2].first == "d":
            guard let depth = Int(parts[2].dropFirst()), depth >= 0 else { return nil }
            self.depth = depth
        default: return nil
        }
        switch test.prefix(2) {
        case "pp": prompt = count
        case "tg": generated = count
        default: return nil
        }
    }

    /// `pp512`, `tg128 @ d896`.
    package var name: String {
        let test = prompt > 0 ? "pp\(prompt)" : "tg\(generated)"
        return depth > 0 ? "\(test) @ d\(depth)" : test
    }

    /// Whether all its tokens have positions in a context of `length`.
    package func fits(contextLength length: Int) -> Bool {
        // In this order nothing can overflow.
        depth <= length && count <= length - depth
    }
}
