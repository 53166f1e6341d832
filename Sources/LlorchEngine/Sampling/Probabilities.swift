// The probabilities that logits stand for, as numbers: for checks and displays, not for the draw.
// SPDX-License-Identifier: Apache-2.0

extension Sampler {
    /// Softmax of `logits` at `temperature`; the sum is in double precision, in order of ids.
    ///
    /// - Precondition: `temperature` is positive and normal.
    /// - Throws: when a logit is not a number or the greatest is infinite.
    package static func probabilities(
        of logits: Span<Float>, temperature: Float
    ) throws(SamplingError) -> [Float] {
        precondition(temperature.isNormal && temperature > 0, "temperature \(temperature)")
        var greatest = -Float.infinity
        var best = 0
        for token in logits.indices {
            let logit = logits[token]
            if logit.isNaN { throw .notANumber(token: token) }
            if logit > greatest {
                greatest = logit
                best = token
            }
        }
        guard logits.isEmpty || greatest.isFinite else { throw .notFinite(token: best) }
        var values: [Float] = []
        values.reserveCapacity(logits.count)
        var sum = 0.0
        for token in logits.indices {
            let exponent = (logits[token] - greatest) / temperature
            let value = exponent > -87 ? Math.exponential(exponent) : 0
            values.append(value)
            sum += Double(value)
        }
        for token in values.indices {
            values[token] = Float(Double(values[token]) / sum)
        }
        return values
    }
}
