// From the wire's sampling parameters to the sampler's settings; both name the same five values.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

extension SamplingSettings {
    package init(_ parameters: SamplingParameters) {
        self.init(
            temperature: parameters.temperature, topK: parameters.topK, topP: parameters.topP,
            minP: parameters.minP, repetitionPenalty: parameters.repetitionPenalty)
    }
}
