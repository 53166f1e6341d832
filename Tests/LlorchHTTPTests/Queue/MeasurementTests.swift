// The numbers behind GET /metrics without sockets: times given, text read.
// SPDX-License-Identifier: Apache-2.0

import LlorchHTTP
import LlorchProtocol
import Testing

@Suite struct MeasurementTests {
    private static func started(promptTokens: Int = 4) -> TokenEvent {
        .started(
            .init(
                model: "m", startedAt: "", seed: 1, promptTokens: promptTokens,
                queuedMilliseconds: 0))
    }

    private static func token(_ count: Int, at index: Int) -> TokenEvent {
        .token(.init(text: "x", ids: Array(repeating: 1, count: count), index: index))
    }

    private static let end = TokenEvent.end(
        .init(
            tokensOut: 4, decodeTimeMilliseconds: 0, stopReason: .maximumTokens, promptTokens: 4,
            prefillMilliseconds: 0))

    @Test func aJobsTimesAreTakenFromItsRequest() {
        var jobs = JobMeasurements()
        jobs.submitted("a", now: .microseconds(1_000_000))
        jobs.note(Self.started(), of: "a", now: .microseconds(1_200_000))
        jobs.note(Self.token(1, at: 0), of: "a", now: .microseconds(1_300_000))
        jobs.note(Self.token(3, at: 1), of: "a", now: .microseconds(1_320_000))
        jobs.note(Self.end, of: "a", now: .microseconds(1_320_000))
        let totals = jobs.totals
        #expect(totals.queueWait.count == 1 && totals.queueWait.sum == 0.2)
        #expect(totals.timeToFirstToken.count == 1 && totals.timeToFirstToken.sum == 0.3)
        #expect(totals.interToken.count == 1 && totals.interToken.sum == 0.02)
        #expect(totals.promptTokens == 4 && totals.generatedTokens == 4)
        #expect(totals.outcomes == [.end: 1])
        #expect(totals.cancel.count == 0)
    }

    @Test func aCancelIsTimedFromItsFirstAskingAndOnlyWhereItEndsTheJob() {
        var jobs = JobMeasurements()
        for id in ["a", "b"] { jobs.submitted(id, now: .microseconds(0)) }
        jobs.cancelled("a", now: .microseconds(10_000))
        jobs.cancelled("a", now: .microseconds(50_000))
        jobs.cancelled("b", now: .microseconds(10_000))
        jobs.cancelled("unknown", now: .microseconds(10_000))
        jobs.note(.error(JobFailure(.cancelled, "x")), of: "a", now: .microseconds(70_000))
        jobs.note(Self.end, of: "b", now: .microseconds(80_000))
        #expect(jobs.totals.cancel.count == 1 && jobs.totals.cancel.sum == 0.06)
        #expect(jobs.totals.outcomes == [.error(.cancelled): 1, .end: 1])
    }

    @Test func aJobIsCountedOnce() {
        var jobs = JobMeasurements()
        jobs.submitted("a", now: .microseconds(0))
        jobs.ended("a", .error(.shutdown), now: .microseconds(1))
        jobs.note(Self.started(), of: "a", now: .microseconds(2))
        jobs.note(.error(JobFailure(.cancelled, "x")), of: "a", now: .microseconds(3))
        #expect(jobs.totals.outcomes == [.error(.shutdown): 1])
        #expect(jobs.totals.queueWait.count == 0)
    }

    @Test func aWorkerThatSaysAbsurdNumbersOverflowsNothing() {
        var jobs = JobMeasurements()
        for id in ["a", "b"] {
            jobs.submitted(id, now: .microseconds(0))
            jobs.note(Self.started(promptTokens: .max), of: id, now: .microseconds(-1))
        }
        #expect(jobs.totals.promptTokens == .max)
        #expect(jobs.totals.queueWait.sum == 0)
    }

    @Test func aBoundHoldsWhatIsEqualToIt() {
        var histogram = Histogram(bounds: [0.1, 0.2, 1])
        for time in [100_000, 100_001, 200_000, 3_000_000] {
            histogram.observe(.microseconds(time))
        }
        #expect(histogram.cumulative == [1, 3, 3])
        #expect(histogram.count == 4)
        var page = PrometheusText()
        page.histogram("t_seconds", "H.", histogram)
        #expect(
            page.text == """
                # HELP t_seconds H.
                # TYPE t_seconds histogram
                t_seconds_bucket{le="0.1"} 1
                t_seconds_bucket{le="0.2"} 3
                t_seconds_bucket{le="1.0"} 3
                t_seconds_bucket{le="+Inf"} 4
                t_seconds_sum 3.400001
                t_seconds_count 4

                """)
    }

    @Test func aNameCannotLeaveItsQuotes() {
        var page = PrometheusText()
        page.begin("up", .gauge, "One \\ line\nonly.")
        page.sample(1, ("worker", "a\"} 9\nb\\ é\r\0"), ("side", ""))
        #expect(
            page.text == "# HELP up One \\\\ line\\nonly.\n# TYPE up gauge\n"
                + "up{worker=\"a\\\"} 9\\nb\\\\ é\r\0\",side=\"\"} 1\n")
    }
}
