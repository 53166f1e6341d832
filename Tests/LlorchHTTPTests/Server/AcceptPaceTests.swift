// When connections are accepted, in virtual time.
// SPDX-License-Identifier: Apache-2.0

import LlorchHTTP
import Testing

@Suite struct AcceptPaceTests {
    @Test func atTheLimitNothingIsAcceptedUntilOneLeaves() {
        var pace = AcceptPace(limit: 2)
        #expect(pace.reasonToWait(now: .zero) == nil)
        pace.opened()
        pace.opened()
        #expect(pace.reasonToWait(now: .zero) == .connections)
        pace.closed()
        #expect(pace.reasonToWait(now: .zero) == nil)
    }

    /// An hour without descriptors costs some thousand attempts, not as many as a processor can make.
    @Test func failuresAreFarApart() {
        var pace = AcceptPace(limit: 2)
        var now = Duration.zero
        var attempts = 0
        while now < .seconds(3_600) {
            attempts += 1
            let pause = pace.failed(now: now)
            #expect(pause >= AcceptPace.shortestPause && pause <= AcceptPace.longestPause)
            #expect(pace.reasonToWait(now: now) == .resources)
            now += pause
            #expect(pace.reasonToWait(now: now) == nil)
        }
        #expect(attempts < 3_700)
    }

    @Test func aConnectionEndsTheRowOfFailures() {
        var pace = AcceptPace(limit: 9)
        for _ in 0..<100 { _ = pace.failed(now: .zero) }
        #expect(pace.failed(now: .zero) == AcceptPace.longestPause)
        pace.opened()
        #expect(pace.failed(now: .zero) == AcceptPace.shortestPause)
    }

    @Test func theLogHasALineAMinuteForEachReason() {
        var pace = AcceptPace(limit: 9)
        let seconds = (0..<300).filter { pace.isNews(.resources, now: .seconds($0)) }
        #expect(seconds == [0, 60, 120, 180, 240])
        let isOtherNews = pace.isNews(.connections, now: .seconds(1))
        #expect(isOtherNews)
    }

    @Test func theLimitLeavesDescriptorsForTheRest() {
        #expect(AcceptPace.limit(ofDescriptors: 8_192, processors: 2) == 8_122)
        #expect(AcceptPace.limit(ofDescriptors: 10, processors: 64) == 8)
        #expect(AcceptPace.limit(ofDescriptors: 1 << 30, processors: 8) == 10_000)
    }
}
