// A StreamTable between clients that come and go and a dispatcher that answers when it likes, by random numbers.
// What must hold is checked at every step; which numbers of steps and limits: StreamTablePropertyTests.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchHTTP
import LlorchProtocol
import TestSupport

struct StreamSimulation {
    /// A client of one job over all of its connections.
    private struct Client {
        var job: GenerationJob
        /// What a client that never lost its connection would have been told.
        var truth: [TokenEvent] = []
        /// Frames that arrived whole.
        var frames: [ServerSentEvent] = []
        var reader: ReaderID?
        /// The table heard that the client left, and the job has not gone on since.
        var isAway = false
        /// When the minute began for which the client may come back.
        var keptSince: Duration?
        /// Nobody can come back for the job.
        var isForgotten = false
        var isDone = false
    }

    /// One connection.
    private struct Reader {
        var jobID: String
        var framer: EventFramer
        var frames: [ServerSentEvent] = []
        var isOver = false
        var refusal: JobFailure?
        var hasEvents = false
    }

    /// A job as the dispatcher has it.
    private struct Running {
        var job: GenerationJob
        var isStarted = false
        var tokens: Int
        var isCancelled = false
    }

    private(set) var violations: [String] = []
    private(set) var answered = 0
    private(set) var returned = 0
    private var table: StreamTable
    private let limits: StreamTable.Limits
    private let areLimitsWide: Bool
    private var random: SplitMix
    private var now = Duration.zero
    private var clients: [String: Client] = [:]
    private var readers: [ReaderID: Reader] = [:]
    private var running: [String: Running] = [:]
    /// Connections that broke without the server's notice.
    private var unnoticed: [(reader: ReaderID, jobID: String)] = []
    private var readersMade: UInt64 = 0
    private var isOpening = false
    private static let ids = (0..<10).map { "job\($0)" }

    init(seed: UInt64, limits: StreamTable.Limits) {
        self.limits = limits
        areLimitsWide = limits == StreamTable.Limits()
        random = SplitMix(seed: seed)
        table = StreamTable(limits: limits, now: .zero)
    }

    // MARK: - Steps

    mutating func step() {
        now += .milliseconds(chance(50) ? Int.random(in: 0...4_000, using: &random) : 5)
        let id = Self.ids[Int.random(in: 0..<Self.ids.count, using: &random)]
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<8: open(id)
        case 8..<14: disconnect(id, isNoticed: chance(2))
        case 14..<22: comeBack(id)
        case 22: cancel(id)
        case 23..<26: notice()
        case 26..<50: read(id)
        case 50..<60: perform(table.tick(now: now, isServed: !chance(40)))
        default: emit(id)
        }
        checkLimits()
    }

    /// Lets everything come to its end, and looks whether anything is left over.
    mutating func finish() {
        while !unnoticed.isEmpty { notice() }
        for _ in 0..<3 {
            for id in Self.ids {
                while running[id] != nil { emit(id, mayFail: false) }
                comeBack(id)
                while running[id] != nil { emit(id, mayFail: false) }
                read(id, all: true)
            }
        }
        for (id, client) in clients where client.reader != nil && !client.isDone {
            violations.append("\(id) has a reader without an end")
        }
        now += limits.age + .seconds(2)
        perform(table.tick(now: now, isServed: true))
        if table.recordCount != 0 || table.recordBytes != 0 || !table.readers.isEmpty {
            violations.append(
                "left over: \(table.recordCount) records, \(table.readers.count) readers")
        }
    }

    // MARK: - Clients

    private mutating func open(_ id: String) {
        let job = GenerationJob(
            id: id, prompt: .text("p\(Int.random(in: 0..<3, using: &random))"),
            maximumTokens: Int.random(in: 1...12, using: &random),
            seed: UInt64.random(in: .min ... .max, using: &random))
        let reader = makeReader(job, seed: job.seed, lastEventID: nil)
        isOpening = true
        let wasOut = running[id] != nil
        perform(table.open(job, for: reader))
        isOpening = false
        if readers[reader]?.refusal == nil {
            if wasOut { violations.append("\(id) was taken twice") }
        } else {
            readers[reader] = nil
        }
    }

    private mutating func comeBack(_ id: String) {
        guard let client = clients[id], let last = client.frames.last, !client.isDone,
            client.reader == nil || chance(4)
        else { return }
        var job = client.job
        if chance(2) { job.seed = nil }
        let isOther = chance(30)
        if isOther { job.prompt = "other" }
        if let former = client.reader { unnoticed.append((former, id)) }
        let reader = makeReader(job, seed: client.job.seed, lastEventID: last.id)
        clients[id]?.reader = isOther ? nil : reader
        let isHeld =
            areLimitsWide && !client.isForgotten
            && client.keptSince.map { now - $0 <= limits.age } ?? true
        returned += 1
        perform(table.resume(job, for: reader, after: last.id))
        guard let refusal = readers[reader]?.refusal else {
            if isOther { violations.append("\(id) of other content was taken") }
            return
        }
        readers[reader] = nil
        if isHeld, isOther ? refusal.code != .jobIDConflict : refusal.code != .queueFull {
            violations.append("\(id) was refused its rest: \(refusal)")
        }
    }

    /// The client has some of what was sent, and no connection any more.
    private mutating func disconnect(_ id: String, isNoticed: Bool) {
        guard let client = clients[id], let reader = client.reader else { return }
        read(id)
        guard clients[id]?.isDone == false else { return }
        clients[id]?.reader = nil
        unnoticed.append((reader, id))
        if isNoticed { notice() }
    }

    private mutating func notice() {
        guard let (reader, id) = unnoticed.popLast() else { return }
        readers[reader] = nil
        if table.readers[reader] != nil {
            clients[id]?.isAway = true
            clients[id]?.keptSince = now
        }
        perform(table.leave(reader, of: id, now: now))
    }

    /// Someone asks for the end of the job.
    private mutating func cancel(_ id: String) {
        if let client = clients[id], client.isAway {
            if client.reader == nil {
                clients[id]?.isForgotten = true
            } else {
                // The client that is back is a reader again until the cancel is answered.
                clients[id]?.isAway = false
                clients[id]?.keptSince = nil
            }
        }
        perform(table.cancel(id))
    }

    /// The client takes frames that are there, in order.
    private mutating func read(_ id: String, all: Bool = false) {
        guard let client = clients[id], let key = client.reader, let reader = readers[key] else {
            return
        }
        let count =
            all ? reader.frames.count : Int.random(in: 0...reader.frames.count, using: &random)
        clients[id]?.frames += reader.frames.prefix(count)
        readers[key]?.frames.removeFirst(count)
        if chance(4) { checkFrames(id) }
        if reader.isOver, count == reader.frames.count {
            clients[id]?.reader = nil
            clients[id]?.isDone = true
            readers[key] = nil
            answered += 1
            if clients[id]?.frames != expected(id) { violations.append("\(id) is not complete") }
        }
    }

    // MARK: - The dispatcher

    private mutating func emit(_ id: String, mayFail: Bool = true) {
        guard let job = running[id] else { return }
        if job.isCancelled, chance(2) {
            running[id] = nil
            hand(.error(JobFailure(.cancelled, "cancelled")), of: id)
        } else if mayFail, chance(60) {
            running[id] = nil
            hand(.error(JobFailure(.inferenceFailed, "broken")), of: id)
        } else if !job.isStarted {
            running[id]?.isStarted = true
            hand(
                .started(
                    .init(
                        model: "m", startedAt: "t", seed: job.job.seed ?? 0, promptTokens: 1,
                        queuedMilliseconds: 0)), of: id)
        } else if job.tokens < job.job.maximumTokens {
            let end = min(
                job.job.maximumTokens, job.tokens + Int.random(in: 1...3, using: &random))
            running[id]?.tokens = end
            let ids = (job.tokens..<end).map { UInt32($0) }
            // The ids may end inside a character, and then there is no text yet.
            let text = ids.map { $0 % 4 == 1 ? "" : "\(id)é\($0) " }.joined()
            hand(.token(.init(text: text, ids: ids, index: job.tokens)), of: id)
        } else {
            running[id] = nil
            hand(
                .end(
                    .init(
                        tokensOut: job.tokens, decodeTimeMilliseconds: 0,
                        stopReason: .maximumTokens, promptTokens: 1, prefillMilliseconds: 0)),
                of: id)
        }
    }

    private mutating func hand(_ event: TokenEvent, of id: String) {
        if var client = clients[id], client.truth.last?.isTerminal != true {
            switch event {
            case .started where !client.truth.isEmpty: break
            // An absent client's job ends by the cancel for its absence, and goes on when the client is back.
            case .error where client.isAway && !client.isForgotten: break
            default: client.truth.append(event)
            }
            if event.isTerminal, client.truth.last == event {
                client.isAway = false
                client.keptSince = now
                if client.truth.count == 1 { client.isForgotten = true }
            }
            clients[id] = client
        }
        perform(table.receive(event, of: id, now: now))
    }

    // MARK: - Actions

    private mutating func perform(_ actions: [StreamTable.Action]) {
        for action in actions {
            switch action {
            case .submit(let job): submit(job)
            case .cancel(let id): running[id]?.isCancelled = true
            case .deliver(let event, let reader): deliver(event, to: reader)
            case .openSoon: break
            case .drop(let reader): drop(reader)
            case .ended(let id, let failure):
                clients[id]?.truth.append(.error(failure))
                clients[id]?.keptSince = now
            case .note: break
            }
        }
    }

    private mutating func submit(_ job: GenerationJob) {
        if running[job.id] != nil { violations.append("\(job.id) was submitted while it was out") }
        if chance(20) {
            perform(table.rejected(JobFailure(.queueFull, "full")))
            return
        }
        if isOpening {
            if let former = clients[job.id]?.reader { readers[former] = nil }
            clients[job.id] = Client(job: job, reader: newest)
        } else {
            let held = clients[job.id]?.truth.flatMap { event -> [TokenID] in
                if case .token(let piece) = event { return piece.ids }
                return []
            }
            if job.resumeIDs != held { violations.append("\(job.id) goes on after other tokens") }
            if job.seed != clients[job.id]?.job.seed {
                violations.append("\(job.id): another seed")
            }
            clients[job.id]?.isAway = false
            clients[job.id]?.keptSince = nil
        }
        running[job.id] = Running(job: job, tokens: job.resumeIDs.count)
        perform(table.submitted(isWaiting: chance(2)))
    }

    private mutating func deliver(_ event: TokenEvent, to key: ReaderID) {
        // Sent into a connection that is lost without the server's notice.
        if unnoticed.contains(where: { $0.reader == key }) { return }
        guard var reader = readers[key] else {
            violations.append("\(event) for a reader that is gone")
            return
        }
        if reader.isOver { violations.append("\(event) after the end of \(reader.jobID)") }
        if !reader.hasEvents, case .error(let failure) = event, failure.code != .cancelled {
            reader.refusal = failure
        }
        reader.hasEvents = true
        reader.frames += reader.framer.frames(for: event, waited: .zero)
        reader.isOver = event.isTerminal
        readers[key] = reader
        let isRefused = reader.refusal != nil
        if isRefused, clients[reader.jobID]?.reader == key { clients[reader.jobID]?.reader = nil }
    }

    private mutating func drop(_ key: ReaderID) {
        guard let reader = readers.removeValue(forKey: key) else { return }
        if clients[reader.jobID]?.reader == key { clients[reader.jobID]?.reader = nil }
    }

    // MARK: - What must hold

    private func expected(_ id: String) -> [ServerSentEvent] {
        guard let client = clients[id] else { return [] }
        var framer = EventFramer(jobID: id, seed: client.job.seed ?? 0, timeOfDay: { "" })
        return client.truth.flatMap { framer.frames(for: $0, waited: .zero) }
    }

    private mutating func checkFrames(_ id: String) {
        guard let client = clients[id] else { return }
        if !expected(id).starts(with: client.frames) {
            violations.append(
                "\(id) at \(now): \(client.frames.map(\.id)) of \(expected(id).map(\.id))")
        }
    }

    private mutating func checkLimits() {
        let records = Self.ids.compactMap { table.record(of: $0) }
        if records.count != table.recordCount { violations.append("records are counted wrong") }
        if records.reduce(0, { $0 + $1.bytes }) != table.recordBytes {
            violations.append("bytes are counted wrong")
        }
        if table.recordCount > limits.count || table.recordBytes > limits.bytes {
            violations.append("\(table.recordCount) records of \(table.recordBytes) bytes")
        }
    }

    // MARK: - Chance

    private var newest: ReaderID { ReaderID(readersMade) }

    private mutating func makeReader(
        _ job: GenerationJob, seed: UInt64?, lastEventID: Int?
    ) -> ReaderID {
        readersMade += 1
        readers[newest] = Reader(
            jobID: job.id,
            framer: EventFramer(
                jobID: job.id, seed: seed ?? 0, lastEventID: lastEventID, timeOfDay: { "" }))
        return newest
    }

    private mutating func chance(_ one: Int) -> Bool {
        Int.random(in: 0..<one, using: &random) == 0
    }
}
