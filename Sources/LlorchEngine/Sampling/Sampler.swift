// Chooses the next token from the logits: temperature, repetition penalty, top-k, top-p, min-p, draw.
// The same logits, settings, seed and earlier tokens give the same token on any machine, because probabilities are
// turned into integers, whose sums do not depend on the order of addition. Filtering tokens: Selection.swift.
// SPDX-License-Identifier: Apache-2.0

/// One job's sampler and its scratch memory, which is allocated once and serves job after job.
package struct Sampler: ~Copyable {
    package let vocabularySize: Int
    private let kernels: Kernels
    private var settings = SamplingSettings()
    private var generator = SeededGenerator(seed: 0)
    /// Tokens generated, resumed ones included: the counter of the generator.
    package private(set) var tokenCount: UInt64 = 0
    /// The distinct tokens generated, in order of first use.
    private var generated: [UInt32] = []
    private var isGenerated: [Bool]
    /// Logits after temperature and penalty.
    private var scaled: [Float]
    private var exponentials: [Float]
    /// Probabilities in units of 2^-40 of the greatest one; 0 for tokens filtered out.
    private var weights: [UInt64]
    private var selection: Selection

    /// Weight of the most likely token; the sum over a vocabulary is at most 2^63.
    private static let fullWeight: UInt64 = 1 << 40
    /// Well below ln 2^-41, where a weight becomes 0, and within the range of the exponential.
    private static let leastExponent: Float = -40

    /// - Precondition: `vocabularySize` is from 1 to 2^23.
    package init(vocabularySize: Int, kernels: Kernels = .generic) {
        precondition(
            (1...1 << 23).contains(vocabularySize), "vocabulary of \(vocabularySize) tokens")
        self.vocabularySize = vocabularySize
        self.kernels = kernels
        isGenerated = [Bool](repeating: false, count: vocabularySize)
        scaled = [Float](repeating: 0, count: vocabularySize)
        // Not `scaled` again: arrays that share storage are copied at the first write.
        exponentials = [Float](repeating: 0, count: vocabularySize)
        weights = [UInt64](repeating: 0, count: vocabularySize)
        selection = Selection(count: vocabularySize)
        generated.reserveCapacity(vocabularySize)
    }

    /// Begins a job: no token is generated yet.
    package mutating func start(_ settings: SamplingSettings, seed: UInt64) {
        self.settings = settings
        generator = SeededGenerator(seed: seed)
        tokenCount = 0
        for token in generated { isGenerated[Int(token)] = false }
        generated.removeAll(keepingCapacity: true)
    }

    /// Counts a token generated elsewhere as if it had been chosen here.
    ///
    /// A token without a logit, which only ids from another model can be, moves the counter and is not penalized.
    package mutating func append(_ token: UInt32) {
        tokenCount += 1
        guard token < vocabularySize, !isGenerated[Int(token)] else { return }
        isGenerated[Int(token)] = true
        generated.append(token)
    }

    /// Chooses a token and counts it as generated.
    ///
    /// - Precondition: there are `vocabularySize` logits.
    /// - Throws: when a logit is not a number or the greatest is infinite; nothing is counted then.
    package mutating func sample(_ logits: Span<Float>) throws(SamplingError) -> UInt32 {
        precondition(
            logits.count == vocabularySize,
            "\(logits.count) logits for a vocabulary of \(vocabularySize)")
        Self.scale(logits, by: settings, penalizing: generated, into: &scaled)
        let best = try Self.bestToken(scaled.span)
        let token = settings.isGreedy ? best : draw(best)
        append(UInt32(token))
        return UInt32(token)
    }

    /// Temperature, then penalty; finite logits do not become infinite.
    private static func scale(
        _ logits: Span<Float>, by settings: SamplingSettings, penalizing generated: [UInt32],
        into scaled: inout [Float]
    ) {
        var scaled = scaled.mutableSpan
        let temperature = settings.isGreedy ? 1 : settings.temperature
        for token in logits.indices {
            scaled[token] = limited(logits[token] / temperature, from: logits[token])
        }
        guard settings.penalizes else { return }
        let penalty = settings.repetitionPenalty
        for token in generated {
            let logit = scaled[Int(token)]
            scaled[Int(token)] = limited(logit > 0 ? logit / penalty : logit * penalty, from: logit)
        }
    }

    @inline(__always)
    private static func limited(_ value: Float, from original: Float) -> Float {
        original.isFinite
            ? max(min(value, Float.greatestFiniteMagnitude), -Float.greatestFiniteMagnitude) : value
    }

    /// The greatest, the lowest id of equals.
    private static func bestToken(_ scaled: Span<Float>) throws(SamplingError) -> Int {
        var best = 0
        var greatest = -Float.infinity
        for token in scaled.indices where !(scaled[token] <= greatest) {
            if scaled[token].isNaN { throw .notANumber(token: token) }
            best = token
            greatest = scaled[token]
        }
        guard greatest.isFinite else { throw .notFinite(token: best) }
        return best
    }

    private mutating func draw(_ best: Int) -> Int {
        Self.weigh(
            scaled, best, kernels: kernels, exponentials: &exponentials, into: &weights)
        if settings.topK > 0, settings.topK < vocabularySize {
            selection.keepTop(Int(settings.topK), of: scaled, weights: &weights)
        }
        if settings.topP < 1 {
            let share = Double(settings.topP) * Double(total())
            selection.keepTop(
                share: UInt64(share.rounded(.up)), of: scaled, weights: &weights)
        }
        if settings.minP > 0 {
            let least = UInt64((settings.minP * Float(Self.fullWeight)).rounded(.up))
            for token in weights.indices where weights[token] < least { weights[token] = 0 }
        }
        let bits = generator.bits(forToken: tokenCount)
        // Below the total, and as even as 64 bits allow.
        var rest = bits.multipliedFullWidth(by: total()).high
        let weights = weights.span
        for token in weights.indices {
            if rest < weights[token] { return token }
            rest -= weights[token]
        }
        return best
    }

    /// e^(logit − best) by the kernels' own sequence, a vector at a time, then to integers.
    private static func weigh(
        _ scaled: [Float], _ best: Int, kernels: Kernels, exponentials: inout [Float],
        into weights: inout [UInt64]
    ) {
        let scaled = scaled.span
        let greatest = scaled[best]
        var exponentials = exponentials.mutableSpan
        var weights = weights.mutableSpan
        precondition(
            weights.count == scaled.count && exponentials.count == scaled.count,
            "\(weights.count) weights for \(scaled.count) logits")
        for token in scaled.indices {
            exponentials[token] = max(scaled[token] - greatest, leastExponent)
        }
        kernels.exponentials(of: &exponentials)
        for token in scaled.indices {
            weights[token] = UInt64(exponentials[token] * Float(fullWeight))
        }
    }

    private func total() -> UInt64 {
        let weights = weights.span
        var total: UInt64 = 0
        for token in weights.indices { total &+= weights[token] }
        return total
    }
}
