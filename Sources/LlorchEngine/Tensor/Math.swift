// Scalar functions as fixed sequences of correctly rounded operations: the same bits on every machine.
// No libm. The vector forms of the same sequences are in CLlorchKernels.
// SPDX-License-Identifier: Apache-2.0

/// The few functions that the forward pass and the sampler need.
package enum Math {
    /// The natural logarithm of a positive, finite, normal number, within 1 ulp.
    ///
    /// x = 2^k·(1 + f) with 1 + f between √½ and √2; with s = f / (2 + f), ln(1 + f) is 2s and a polynomial in s²
    /// (fdlibm, e_log.c). Every operation is rounded once, so that the bits do not depend on a libm.
    package static func logarithm(_ x: Double) -> Double {
        precondition(x.isNormal && x > 0, "the logarithm of \(x)")
        var k = Double(x.exponent)
        var m = x.significand
        if m > 1.414_213_562_373_095_1 {
            m *= 0.5
            k += 1
        }
        let f = m - 1
        let s = f / (2 + f)
        let z = s * s
        let w = z * z
        let even =
            w
            * (3.999_999_999_940_941_908e-01
                + w * (2.222_219_843_214_978_396e-01 + w * 1.531_383_769_920_937_332e-01))
        let odd =
            z
            * (6.666_666_666_666_735_130e-01
                + w
                * (2.857_142_874_366_239_149e-01
                    + w * (1.818_357_216_161_805_012e-01 + w * 1.479_819_860_511_658_591e-01)))
        let half = 0.5 * f * f
        let low = k * 1.908_214_929_270_587_700e-10
        return k * 6.931_471_803_691_238_165e-01 - ((half - (s * (half + (even + odd)) + low)) - f)
    }

    /// e^x within 2 ulp; 0 below −104, infinity above 88.73, NaN for NaN.
    ///
    /// x = n·ln 2 + r with |r| ≤ ln 2 / 2, e^r by a polynomial of degree 6 whose error is 3e-9.
    package static func exponential(_ x: Float) -> Float {
        // Comparisons are written so that NaN falls through them.
        let clamped = x < -104 ? -104 : x > 89 ? 89 : x
        let magic: Float = 12_582_912  // 1.5 · 2^23: adding it rounds to an integer
        let shifted = magic.addingProduct(clamped, 1.442_695_04)
        let n = shifted - magic
        var r = clamped.addingProduct(n, -0.693_359_375)
        r = r.addingProduct(n, 2.121_944_40e-4)
        var p: Float = 0.001_381_448_7
        p = Float(0.008_368_779_91).addingProduct(p, r)
        p = Float(0.041_668_392_7).addingProduct(p, r)
        p = Float(0.166_665_196).addingProduct(p, r)
        p = Float(0.499_999_94).addingProduct(p, r)
        p = r.addingProduct(p, r * r) + 1
        // 2^n in two factors, so that results below the normal range round only once more.
        let whole = Int32(bitPattern: shifted.bitPattern) &- Int32(bitPattern: magic.bitPattern)
        let half = whole >> 1
        let first = Float(bitPattern: UInt32(bitPattern: (half &+ 127) &<< 23))
        let second = Float(bitPattern: UInt32(bitPattern: (whole &- half &+ 127) &<< 23))
        return p * first * second
    }
}
