// How the next token is chosen from the logits. The arithmetic is the engine's (Sampling/).
// SPDX-License-Identifier: Apache-2.0

/// Parameters of one job's sampler; every value is finite and in range.
package struct SamplingParameters: Sendable, Hashable {
    /// 0 to 2; below 1e-6 the most likely token is taken.
    package let temperature: Float
    /// Keeps the k most likely tokens; 0 is off.
    package let topK: UInt32
    /// 0 to 1; keeps the shortest prefix of likely tokens whose sum reaches this; 1 is off, 0 keeps one.
    package let topP: Float
    /// 0 to 1; keeps tokens at least this fraction as likely as the best; 0 is off.
    package let minP: Float
    /// 0 to 2; divides positive and multiplies negative logits of tokens generated before; 0 and 1 are off.
    package let repetitionPenalty: Float

    package static let `default` = SamplingParameters(
        uncheckedTemperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1)

    /// Returns nil when a value is not finite or out of its range; the validator names which.
    package init?(
        temperature: Float = 1, topK: UInt32 = 0, topP: Float = 1, minP: Float = 0,
        repetitionPenalty: Float = 1
    ) {
        guard (0...2).contains(temperature), (0...1).contains(topP), (0...1).contains(minP),
            (0...2).contains(repetitionPenalty)
        else { return nil }
        self.init(
            uncheckedTemperature: temperature, topK: topK, topP: topP, minP: minP,
            repetitionPenalty: repetitionPenalty)
    }

    private init(
        uncheckedTemperature temperature: Float, topK: UInt32, topP: Float, minP: Float,
        repetitionPenalty: Float
    ) {
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.minP = minP
        self.repetitionPenalty = repetitionPenalty
    }
}
