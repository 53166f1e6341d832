// The engine's own logarithm against that of the C library, which need not have the same last bit.
// SPDX-License-Identifier: Apache-2.0

import Foundation
import LlorchEngine
import TestSupport
import Testing

@Suite struct LogarithmTests {
    @Test(arguments: 0..<8 as Range<UInt64>)
    func itIsWithinOneUnitInTheLastPlace(seed: UInt64) {
        var random = SplitMix(seed: seed)
        for _ in 0..<20_000 {
            let x =
                Double.random(in: 0.5...2, using: &random)
                * exp2(.random(in: -60...60, using: &random))
            let expected = log(x)
            let error = abs(Math.logarithm(x) - expected)
            #expect(error <= expected.magnitude.ulp, "seed \(seed): \(x)")
        }
    }

    @Test func exactValues() {
        #expect(Math.logarithm(1) == 0)
        #expect(Math.logarithm(2) == 0x1.62e42fefa39efp-1)
        #expect(Math.logarithm(0.5) == -0x1.62e42fefa39efp-1)
        #expect(Math.logarithm(.leastNormalMagnitude).isFinite)
        #expect(Math.logarithm(.greatestFiniteMagnitude).isFinite)
    }
}
