// Two precisions side by side: what each predicts is what it predicts alone, however long its own chunks are.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchProtocol
import Testing

@Suite struct PrecisionComparisonTests {
    /// A q8 model reads shorter chunks than an f32 model: either may be the reference.
    @Test(arguments: [(Precision.f32, Precision.q8), (.q8, .f32), (.f32, .f32)])
    func bothPredictAsTheyDoAlone(precision: Precision, other: Precision) throws {
        let configuration = BitExactnessTests.configurations[0]
        let model = try BitExactnessTests.model(configuration, precision)
        let reference = try BitExactnessTests.model(configuration, other)
        let ids = Array(BitExactnessTests.ids(configuration) + [3, 1, 4, 1, 5, 9, 2, 6])
        if precision != other {
            let lengths = [model.preferredChunkLength, reference.preferredChunkLength]
            #expect(lengths[0] != lengths[1] && ids.count > lengths.min() ?? .max)
        }
        let stride = configuration.contextLength / 2
        var comparison = try PrecisionComparison(model, reference: reference)
        let result = comparison.compare(ids, stride: stride)
        var alone = try PerplexityMeasurement(model)
        var referenceAlone = try PerplexityMeasurement(reference)
        #expect(result.logProbabilities == alone.logProbabilities(of: ids, stride: stride))
        #expect(
            result.referenceLogProbabilities
                == referenceAlone.logProbabilities(of: ids, stride: stride))
        #expect(result.divergences.count == ids.count - 1)
        if precision == other {
            #expect(result.divergences.allSatisfy { abs($0) < 1e-12 })
            #expect(result.agreement == 1)
        }
    }
}
