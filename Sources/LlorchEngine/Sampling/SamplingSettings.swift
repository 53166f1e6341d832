// How the tokens of one job are chosen. LlorchProtocol's SamplingParameters are the same settings as they are sent.
// SPDX-License-Identifier: Apache-2.0

package struct SamplingSettings: Sendable, Hashable {
    /// Below this the most likely token is taken.
    package static let greedyBelow: Float = 1e-6

    /// 0 to 2.
    package let temperature: Float
    /// 0 is off.
    package let topK: UInt32
    /// 0 to 1; 1 is off.
    package let topP: Float
    /// 0 to 1; 0 is off.
    package let minP: Float
    /// 0 to 2; 0 and 1 are off.
    package let repetitionPenalty: Float

    /// - Precondition: every value is in its range; requests are validated before they come here.
    package init(
        temperature: Float = 1, topK: UInt32 = 0, topP: Float = 1, minP: Float = 0,
        repetitionPenalty: Float = 1
    ) {
        precondition((0...2).contains(temperature), "temperature \(temperature)")
        precondition((0...1).contains(topP), "top_p \(topP)")
        precondition((0...1).contains(minP), "min_p \(minP)")
        precondition((0...2).contains(repetitionPenalty), "penalty \(repetitionPenalty)")
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.minP = minP
        self.repetitionPenalty = repetitionPenalty
    }

    package var isGreedy: Bool { temperature < Self.greedyBelow }
    var penalizes: Bool { repetitionPenalty != 0 && repetitionPenalty != 1 }
}

/// Logits no token can be chosen from: the weights or the arithmetic are broken.
package enum SamplingError: Error, Sendable, Hashable, CustomStringConvertible {
    case notANumber(token: Int)
    /// The greatest logit is infinite, or all are minus infinity.
    case notFinite(token: Int)

    package var description: String {
        switch self {
        case .notANumber(let token): "the logit of token \(token) is not a number"
        case .notFinite(let token): "the greatest logit, of token \(token), is not finite"
        }
    }
}
