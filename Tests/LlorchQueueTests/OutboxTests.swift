// Order, numbers and bounds of events that wait for their reader.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchQueue
import TestSupport
import Testing

@Suite struct OutboxTests {
    @Test func numbersHaveNoHolesWhateverWouldBlock() throws {
        var random = SplitMix(seed: 7)
        var outbox = Outbox(worker: "w", boot: 9)
        var taken: [WorkerEvent] = []
        var added = 0
        while added < 5_000 || !outbox.isEmpty {
            if added < 5_000 {
                outbox.append([answer(added)])
                added += 1
            }
            if added.isMultiple(of: 100) { outbox.put(status(queued: added)) }
            try outbox.flush { bytes in
                guard Int.random(in: 0..<3, using: &random) > 0 else { return false }
                taken.append(try WorkerEvent(parsing: bytes))
                return true
            }
        }
        #expect(taken.map(\.sequence) == Array(0..<UInt64(taken.count)))
        #expect(taken.allSatisfy { $0.worker == "w" && $0.boot == 9 })
        let ids = taken.compactMap { event -> String? in
            if case .job(let reference, _) = event.body { return reference.jobID }
            return nil
        }
        #expect(ids == (0..<5_000).map { "j\($0)" })
        #expect(outbox.bytes == 0)
    }

    @Test func theNewestHeartbeatReplacesAnUnsentOneAndGoesFirst() throws {
        var outbox = Outbox(worker: "w", boot: 1)
        outbox.append([answer(1)])
        for queued in 0..<50 { outbox.put(status(queued: queued)) }
        var taken: [WorkerEvent.Body] = []
        try outbox.flush { bytes in
            taken.append(try WorkerEvent(parsing: bytes).body)
            return true
        }
        #expect(taken == [.heartbeat(status(queued: 49)), answer(1).body])
    }

    @Test func aFullOutboxTakesOnlyWhatIsNotAskedForAgain() {
        var outbox = Outbox(worker: "w", boot: 1, limit: 10_000)
        let accepted = Answer(
            .accepted(reference("a"), .init(state: .queued, position: 0, free: 0)),
            isRepeatable: true)
        for _ in 0..<1_000 { outbox.append([accepted]) }
        #expect(outbox.isFull)
        #expect(outbox.bytes < 10_500)
        #expect(outbox.dropped > 900)
        let before = outbox.bytes
        outbox.append([answer(1)])
        #expect(outbox.bytes > before)
    }

    private func answer(_ number: Int) -> Answer {
        Answer(.job(reference("j\(number)"), end(tokens: 1)), isRepeatable: false)
    }

    private func status(queued: Int) -> WorkerStatus {
        WorkerStatus(state: .idle, jobs: "tcp://127.0.0.1:1", control: "c", queued: queued)
    }
}
