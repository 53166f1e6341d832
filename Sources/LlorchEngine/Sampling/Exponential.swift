// e to the x by one fixed sequence of additions and multiplications, the same bits on any machine.
// SPDX-License-Identifier: Apache-2.0

enum Math {
    /// Within 2 ulp for x from -87 to 88.
    ///
    /// - Precondition: x is finite and within that range.
    @inline(__always)
    static func exponential(_ x: Float) -> Float {
        // Adding 1.5 * 2^23 leaves the nearest integer in the low bits.
        let shifted = x * 1.442_695_04 + 12_582_912
        let power = shifted - 12_582_912
        // ln 2 in two parts; the first has few enough bits for an exact product.
        let rest = x - power * 0.693_359_375 + power * 2.121_944_4e-4
        var series: Float = 1.987_569_1e-4
        series = series * rest + 1.398_199_9e-3
        series = series * rest + 8.333_452e-3
        series = series * rest + 4.166_579_6e-2
        series = series * rest + 1.666_666_5e-1
        series = series * rest + 0.5
        let fraction = series * (rest * rest) + rest + 1
        let scale = Float(bitPattern: (shifted.bitPattern &+ 127) << 23)
        return fraction * scale
    }
}
