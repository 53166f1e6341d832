// Whatever is submitted, lost, taken up again and cancelled, in whatever order: each client has its answer's
// frames without a hole or a repeat, and what is kept stays within its limits.
// SPDX-License-Identifier: Apache-2.0

import LlorchHTTP
import Testing

@Suite struct StreamTablePropertyTests {
    @Test(arguments: 0..<30 as Range<UInt64>)
    func whoComesBackIsGivenExactlyWhatIsMissing(seed: UInt64) {
        var run = StreamSimulation(seed: seed, limits: StreamTable.Limits())
        for _ in 0..<3_000 { run.step() }
        run.finish()
        #expect(run.violations.isEmpty, "seed \(seed): \(run.violations.prefix(3))")
        #expect(run.answered > 20, "seed \(seed): only \(run.answered) answers were complete")
        #expect(run.returned > 20, "seed \(seed): only \(run.returned) clients came back")
    }

    /// Records are given up here; whoever is not refused is still given exactly what is missing.
    @Test(arguments: 100..<130 as Range<UInt64>)
    func narrowLimitsHoldAndSpoilNoAnswer(seed: UInt64) {
        var limits = StreamTable.Limits()
        limits.count = 4
        limits.bytes = 4_000
        limits.age = .seconds(3)
        limits.patience = .milliseconds(400)
        var run = StreamSimulation(seed: seed, limits: limits)
        for _ in 0..<3_000 { run.step() }
        run.finish()
        #expect(run.violations.isEmpty, "seed \(seed): \(run.violations.prefix(3))")
        #expect(run.answered > 5, "seed \(seed): only \(run.answered) answers were complete")
    }
}
