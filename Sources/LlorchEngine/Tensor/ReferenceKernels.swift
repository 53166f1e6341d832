// What the kernels compute, written to be read: each sum is one loop, in the order that all kernels keep. Slow and
// not used when jobs run; tests compare the bits of every instruction-set level with these.
// SPDX-License-Identifier: Apache-2.0

/// Naive twins of `llk_kernels`.
package enum ReferenceKernels {
    /// Virtual lanes of every reduction.
    package static let laneCount = 16

    /// One row of x·W + b: `weights` are [K, N]; k upward, one fused multiply-add each.
    package static func linear(_ x: [Float], weights: [Float], bias: [Float]?, outputSize: Int)
        -> [Float]
    {
        var y = bias ?? [Float](repeating: 0, count: outputSize)
        for (k, value) in x.enumerated() {
            for n in 0..<outputSize {
                y[n] = y[n].addingProduct(value, weights[k * outputSize + n])
            }
        }
        return y
    }

    /// Lane j adds elements j, j + 16, …; then the upper half of the lanes is folded onto the lower.
    package static func sum(_ x: [Float]) -> Float {
        var lanes = [Float](repeating: 0, count: laneCount)
        for (index, value) in x.enumerated() { lanes[index % laneCount] += value }
        return fold(lanes)
    }

    private static func fold(_ values: [Float]) -> Float {
        var lanes = values
        var half = laneCount / 2
        while half > 0 {
            for j in 0..<half { lanes[j] += lanes[j + half] }
            half /= 2
        }
        return lanes[0]
    }

    package static func layerNorm(
        _ x: [Float], weight: [Float], bias: [Float], epsilon: Float
    ) -> [Float] {
        let mean = sum(x) / Float(x.count)
        var squares = [Float](repeating: 0, count: laneCount)
        for (index, value) in x.enumerated() {
            let difference = value - mean
            let lane = index % laneCount
            squares[lane] = squares[lane].addingProduct(difference, difference)
        }
        let variance = fold(squares) / Float(x.count)
        let inverse = 1 / (variance + epsilon).squareRoot()
        return x.indices.map { bias[$0].addingProduct((x[$0] - mean) * inverse, weight[$0]) }
    }

    package static func softmax(_ x: [Float]) -> [Float] {
        var best = x[0]
        for value in x where value > best { best = value }
        let exponentials = x.map { Math.exponential($0 - best) }
        let inverse = 1 / sum(exponentials)
        return exponentials.map { $0 * inverse }
    }

    /// x · σ(2u), u = √(2/π)·(x + 0.044715·x³).
    package static func geluTanh(_ x: Float) -> Float {
        let inner = Float(0.797_884_561).addingProduct(x * x, 0.035_677_408_1)
        let u = x * inner
        return x / (1 + Math.exponential(u * -2))
    }

    /// x · Φ(x); Φ(−z) = exp(−z²/2) · t·P(t), t = 1 / (1 + 0.3·z).
    package static func geluErf(_ x: Float) -> Float {
        let magnitude = x < 0 ? -x : x
        let z = magnitude > 14 ? 14 : magnitude
        let t = 1 / Float(1).addingProduct(z, 0.3)
        let coefficients: [Float] = [
            0.112_109_154, -0.227_416_009, 0.190_675_929, -0.078_459_352_3, 0.095_613_904_3,
            0.078_587_181_9, 0.110_190_749, 0.119_577_505, 0.119_686_38,
        ]
        var p: Float = -0.020_565_442_7
        for coefficient in coefficients { p = coefficient.addingProduct(p, t) }
        let area = Math.exponential(z * z * -0.5) * (p * t)
        return x * (x < 0 ? area : 1 - area)
    }
}
