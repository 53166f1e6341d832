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

    @Test func aFullOutboxMergesTheTokensOfEachJob() throws {
        var outbox = Outbox(worker: "w", boot: 1, limit: 40_000)
        let other = Answer(
            .accepted(reference("other"), .init(state: .queued, position: 0, free: 0)),
            isRepeatable: true)
        var expected: [String: [TokenID]] = [:]
        for place in 0..<600 {
            // Two runs of one job after another: tokens of different attempts are never joined.
            let attempt: UInt32 = place < 300 ? 1 : 2
            let piece = token("é", [UInt32(place)], at: place)
            expected["\(attempt)", default: []].append(UInt32(place))
            outbox.append([Answer(.job(reference("a", attempt), piece), isRepeatable: false)])
            if place.isMultiple(of: 50) { outbox.append([other]) }
            #expect(!outbox.isFull, "600 tokens in one event each would be \(600 * 168) bytes")
        }
        var got: [String: [TokenID]] = [:]
        var text = ""
        var events = 0
        try outbox.flush { bytes in
            guard case .job(let reference, .token(let piece)) = try WorkerEvent(parsing: bytes).body
            else { return true }
            events += 1
            #expect(piece.index == Int(piece.ids[0]))
            got["\(reference.attempt)", default: []] += piece.ids
            text += piece.text
            return true
        }
        #expect(got == expected)
        #expect(text == String(repeating: "é", count: 600))
        #expect(events < 300)
        #expect(outbox.bytes == 0)
        #expect(outbox.dropped == 0)
    }

    /// Where thousands of events wait, one more costs its text and ids, and nothing is out of order.
    @Test(arguments: [3, 11, 19] as [UInt64])
    func tokensBehindALongQueueAreAddedToTheLastEvent(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        var outbox = Outbox(worker: "w", boot: 1)
        for number in 0..<3_000 { outbox.append([answer(number)]) }
        let before = outbox.bytes
        /// What was said of each job, a token's index or nil for its end, and how the jobs were mixed.
        var said: [(id: String, index: Int?)] = []
        var next: [String: Int] = [:]
        for _ in 0..<4_000 {
            let id = "m\(Int.random(in: 0..<3, using: &random))"
            // Mostly one job after another, as a worker runs them.
            for _ in 0..<Int.random(in: 1...40, using: &random) {
                let index = next[id, default: 0]
                next[id] = index + 1
                said.append((id, index))
                outbox.append([
                    Answer(.job(reference(id), token("é", [7], at: index)), isRepeatable: false)
                ])
            }
            if Int.random(in: 0..<10, using: &random) == 0 {
                said.append((id, nil))
                outbox.append([Answer(.job(reference(id), end(tokens: 1)), isRepeatable: false)])
            }
        }
        #expect(outbox.bytes - before < 20 * said.count, "an event of each would be 160 bytes more")
        var heard: [(id: String, index: Int?)] = []
        try outbox.flush { bytes in
            guard case .job(let reference, let event) = try WorkerEvent(parsing: bytes).body,
                reference.jobID.hasPrefix("m")
            else { return true }
            if case .token(let piece) = event {
                #expect(piece.text == String(repeating: "é", count: piece.ids.count))
                heard += piece.ids.indices.map { (reference.jobID, piece.index + $0) }
            } else {
                heard.append((reference.jobID, nil))
            }
            return true
        }
        #expect(heard.elementsEqual(said, by: ==))
        #expect(outbox.isEmpty && outbox.bytes == 0)
    }

    @Test func whatTheLastProcessDiedInIsToldByTheFirstHeartbeatThatLeaves() throws {
        var outbox = Outbox(worker: "w", boot: 1)
        var first = status(queued: 0)
        first.crashedOn = "a"
        outbox.put(first)
        outbox.put(status(queued: 1))
        var told: [String?] = []
        func take(_ bytes: [UInt8]) throws -> Bool {
            if case .heartbeat(let status) = try WorkerEvent(parsing: bytes).body {
                told.append(status.crashedOn)
            }
            return true
        }
        try outbox.flush(take)
        outbox.put(status(queued: 2))
        try outbox.flush(take)
        #expect(told == ["a", nil])
    }

    /// A worker whose events were not taken for a while begins with its newest heartbeat, not with an old one.
    @Test func aHeartbeatThatWasNotTakenIsReplacedToo() throws {
        var outbox = Outbox(worker: "w", boot: 1)
        var first = status(queued: 0)
        first.crashedOn = "a"
        outbox.put(first)
        outbox.flush { _ in false }
        outbox.append([answer(1)])
        outbox.put(status(queued: 7))
        outbox.flush { _ in false }
        outbox.put(status(queued: 8))
        var taken: [WorkerEvent] = []
        try outbox.flush { bytes in
            taken.append(try WorkerEvent(parsing: bytes))
            return true
        }
        var newest = status(queued: 8)
        newest.crashedOn = "a"
        #expect(taken.map(\.body) == [.heartbeat(newest), answer(1).body])
        #expect(taken.map(\.sequence) == [0, 1])
    }

    /// Only heartbeats are replaced: an answer that was not taken must still arrive.
    @Test func anAnswerThatWasNotTakenStays() throws {
        var outbox = Outbox(worker: "w", boot: 1)
        outbox.append([answer(1)])
        outbox.flush { _ in false }
        outbox.put(status(queued: 1))
        var taken: [WorkerEvent.Body] = []
        try outbox.flush { bytes in
            taken.append(try WorkerEvent(parsing: bytes).body)
            return true
        }
        #expect(taken == [answer(1).body, .heartbeat(status(queued: 1))])
    }

    private func answer(_ number: Int) -> Answer {
        Answer(.job(reference("j\(number)"), end(tokens: 1)), isRepeatable: false)
    }

    private func status(queued: Int) -> WorkerStatus {
        WorkerStatus(state: .idle, jobs: "tcp://127.0.0.1:1", control: "c", queued: queued)
    }
}
