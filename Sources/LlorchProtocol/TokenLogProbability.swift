// How likely a token was, and which others were likelier, by the model alone: before temperature, penalty and filters.
// Computing it: LlorchEngine/Generation/LogProbabilities.swift.
// SPDX-License-Identifier: Apache-2.0

/// One token of an answer with its log-probability.
package struct TokenLogProbability: Sendable, Hashable {
    /// A token that the model could have gone on with.
    package struct Alternative: Sendable, Hashable {
        package var id: TokenID
        /// What the token stands for; not always whole UTF-8 characters.
        package var bytes: [UInt8]
        /// The natural logarithm of the probability, finite.
        package var logProbability: Double

        package init(id: TokenID, bytes: [UInt8], logProbability: Double) {
            self.id = id
            self.bytes = bytes
            self.logProbability = logProbability
        }
    }

    package var id: TokenID
    /// What the token stands for; not always whole UTF-8 characters.
    package var bytes: [UInt8]
    /// The natural logarithm of the probability, finite; nil for the first token of a prompt, which nothing
    /// predicts.
    package var logProbability: Double?
    /// The likeliest tokens, best first, the lowest id of equals; as many as the job asked for.
    package var top: [Alternative]

    package init(id: TokenID, bytes: [UInt8], logProbability: Double?, top: [Alternative]) {
        self.id = id
        self.bytes = bytes
        self.logProbability = logProbability
        self.top = top
    }

    /// Memory that the value and its arrays take, with the arrays' headers.
    package var memoryBytes: Int {
        top.reduce(MemoryLayout<Self>.stride + 96 + bytes.count) { sum, alternative in
            sum + MemoryLayout<Alternative>.stride + 48 + alternative.bytes.count
        }
    }

    /// More bytes than the value has as JSON.
    package var jsonBytes: Int {
        top.reduce(Self.jsonFrame + 4 * bytes.count) { sum, alternative in
            sum + Self.jsonFrame + 4 * alternative.bytes.count
        }
    }

    /// The names, the id and the number: 11 digits and 24 at most.
    private static let jsonFrame = 96
}
