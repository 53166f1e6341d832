// The search for a value that is no number or too large: at every level, in every place, of every length.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import TestSupport
import Testing

@Suite struct WeightLimitTests {
    @Test(arguments: KernelTests.levels) func findsAValueInEveryPlace(_ level: InstructionSet)
        throws
    {
        let kernels = try KernelTests.kernels(level)
        let quiet = Float(bitPattern: 0x7FC0_0000)
        let signalling = Float(bitPattern: 0x7F80_0001)
        let values: [Float] = [quiet, -quiet, signalling, -signalling, .infinity, -.infinity]
        for count in 1...70 {
            let largest = Float.greatestFiniteMagnitude
            var row = (0..<count).map { $0.isMultiple(of: 2) ? largest : -largest }
            #expect(fit(row, largest, kernels))
            for place in 0..<count {
                for value in values {
                    let before = row[place]
                    row[place] = value
                    #expect(!fit(row, largest, kernels), "\(value) at \(place)")
                    row[place] = before
                }
            }
        }
        #expect(fit([], 1, kernels))
    }

    @Test(arguments: KernelTests.levels) func knowsTheLimitToTheBit(_ level: InstructionSet) throws
    {
        let kernels = try KernelTests.kernels(level)
        for limit in [1, 0.75, 65504, 0x1.fefffep127, 0] as [Float] {
            for sign in [1, -1] as [Float] {
                var row = [Float](repeating: 0, count: 37)
                row[36] = sign * limit
                #expect(fit(row, limit, kernels), "\(limit)")
                row[36] = sign * limit.nextUp
                #expect(!fit(row, limit, kernels), "\(limit)")
            }
        }
    }

    private func fit(_ values: [Float], _ limit: Float, _ kernels: Kernels) -> Bool {
        kernels.fits(values.span, magnitude: limit)
    }
}
