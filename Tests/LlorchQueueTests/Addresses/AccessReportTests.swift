// What both programs say of who was not let in: each thing once, in virtual time.
// SPDX-License-Identifier: Apache-2.0

import LlorchQueue
import Testing

@Suite struct AccessReportTests {
    private static let key = CurvePublicKey(bytes: [UInt8](repeating: 7, count: 32))

    private func access(refused: Int, from address: String = "10.0.0.1") throws
        -> ConnectionGuard.Access
    {
        var access = ConnectionGuard.Access()
        let key = try #require(Self.key)
        for _ in 0..<refused { access.refuse(.init(address: address, key: key)) }
        return access
    }

    private func fields(_ news: AccessReport.News) -> [String: String] {
        Dictionary(uniqueKeysWithValues: news.fields.map { ($0.name, $0.value) })
    }

    @Test func nothingIsSaidOfNothing() {
        var report = AccessReport(exposure: nil)
        #expect(report.news(of: nil, now: .zero).isEmpty)
        #expect(report.news(of: ConnectionGuard.Access(), now: .seconds(1)).isEmpty)
    }

    @Test func refusalsAreCountedAndTheNewestIsNamedOnce() throws {
        var report = AccessReport(exposure: nil)
        let first = report.news(of: try access(refused: 2), now: .zero)
        #expect(first.map(\.message) == ["connections were refused: their keys are not allowed"])
        #expect(
            try fields(#require(first.first)) == [
                "refused_total": "2", "last_key": "\(try #require(Self.key))",
                "last_address": "10.0.0.1",
            ])
        #expect(report.news(of: try access(refused: 2), now: .seconds(5)).isEmpty)
        let third = report.news(of: try access(refused: 3, from: "10.0.0.2"), now: .seconds(6))
        #expect(try fields(#require(third.first))["last_address"] == "10.0.0.2")
    }

    @Test func aFloodIsReportedOnceASecond() throws {
        var report = AccessReport(exposure: nil)
        var count = 0
        for step in 0..<5_000 {
            let now = Duration.milliseconds(step)
            count += report.news(of: try access(refused: 1 + step / 1_000 * 3), now: now).count
        }
        #expect(count == 5)
    }

    @Test func aFailureToReadTheKeysIsSaidWhenItBeginsAndWhenItChanges() {
        var report = AccessReport(exposure: nil)
        var access = ConnectionGuard.Access()
        var said: [[String]] = []
        let failures: [CurveKeyError?] = [
            nil, CurveKeyError("k", "x"), CurveKeyError("k", "x"), CurveKeyError("k", "y"), nil,
            CurveKeyError("k", "y"),
        ]
        for (second, failure) in failures.enumerated() {
            access.loadFailure = failure
            let news = report.news(of: access, now: .seconds(second))
            said.append(news.flatMap { $0.fields.map(\.value) })
        }
        #expect(said == [[], ["k: x"], [], ["k: y"], [], ["k: y"]])
    }

    @Test(arguments: [AccessReport.Exposure.worker, .dispatcher])
    func thatEveryoneIsLetInIsSaidOnceAMinute(exposure: AccessReport.Exposure) {
        var report = AccessReport(exposure: exposure)
        var saidAt: [Int] = []
        for second in 0..<180 {
            let news = report.news(of: nil, now: .seconds(second))
            if !news.isEmpty { saidAt.append(second) }
            #expect(news.allSatisfy { $0.message == "--insecure-bind: \(exposure.rawValue)" })
        }
        #expect(saidAt == [0, 60, 120])
    }
}
