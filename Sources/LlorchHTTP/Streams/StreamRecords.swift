// What clients were given, kept for one that lost its connection and asks for the rest (Last-Event-ID).
// Confined to the queue's thread. Who has the bytes still to be written: ResponseStream.swift.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

/// One job's events as its client has or should have them.
package struct StreamRecord: Sendable {
    /// As it was first submitted, with its seed.
    package let job: GenerationJob
    package private(set) var started: TokenEvent?
    package private(set) var pieces: [TokenEvent.TokenPiece] = []
    package private(set) var terminal: TokenEvent?
    /// Since when no client reads it; nil while one does.
    package var leftAt: Int64?

    package init(_ job: GenerationJob) {
        self.job = job
    }

    /// Token ids of the pieces.
    package var ids: [TokenID] { pieces.flatMap(\.ids) }

    /// All of it, in order.
    package var events: [TokenEvent] {
        (started.map { [$0] } ?? []) + pieces.map(TokenEvent.token)
            + (terminal.map { [$0] } ?? [])
    }

    /// Memory it takes, roughly.
    var bytes: Int { 512 + job.prompt.utf8.count + 96 * pieces.count }

    /// Whether a frame with this id was or could have been sent: the tokens up to the end of a piece.
    package func hasFrame(id: Int) -> Bool {
        id == 0 ? started != nil : pieces.contains { $0.index + $0.ids.count == id }
    }

    /// Whether a request asks for the same answer; a seed that it leaves open is the one chosen before.
    package func fits(_ request: GenerationJob) -> Bool {
        var other = request
        other.seed = other.seed ?? job.seed
        other.leaseMilliseconds = job.leaseMilliseconds
        other.deadlineMilliseconds = job.deadlineMilliseconds
        other.correlationID = job.correlationID
        return other == job
    }

    mutating func append(_ event: TokenEvent) {
        switch event {
        case .started: started = started ?? event
        case .token(let piece): pieces.append(piece)
        case .metrics: break
        case .end, .error: terminal = event
        }
    }
}

/// The records of running jobs, and of those whose clients left or that ended not long ago.
package struct StreamRecords {
    package struct Limits: Sendable, Hashable {
        package var count = 2_000
        package var bytes = 32 << 20
        /// Milliseconds after a client left or was told the end.
        package var age: Int64 = 60_000

        package init() {}
    }

    private let limits: Limits
    private var records: [String: StreamRecord] = [:]
    private var bytes = 0
    private var sweepAt = Int64.min

    package init(limits: Limits = Limits()) {
        self.limits = limits
    }

    package subscript(jobID: String) -> StreamRecord? { records[jobID] }
    package var count: Int { records.count }

    /// Begins a record in place of an older one of this id.
    package mutating func begin(_ job: GenerationJob) {
        forget(job.id)
        let record = StreamRecord(job)
        records[job.id] = record
        bytes += record.bytes
    }

    package mutating func append(_ event: TokenEvent, to jobID: String, now: Int64) {
        change(jobID) { record in
            record.append(event)
            if event.isTerminal { record.leftAt = now }
        }
        // What never began was refused with a status of its own.
        if event.isTerminal, records[jobID]?.started == nil { forget(jobID) }
    }

    package mutating func setLeft(_ jobID: String, at time: Int64?) {
        change(jobID) { $0.leftAt = time }
    }

    package mutating func forget(_ jobID: String) {
        guard let record = records.removeValue(forKey: jobID) else { return }
        bytes -= record.bytes
    }

    /// Forgets what is too old, once a second, and the records longest left where there are too many.
    package mutating func expire(now: Int64) {
        guard now >= sweepAt else { return }
        sweepAt = now + 1_000
        for (id, record) in records {
            if let leftAt = record.leftAt, now - leftAt > limits.age { forget(id) }
        }
        guard records.count > limits.count || bytes > limits.bytes else { return }
        let oldestFirst = records.sorted { ($0.value.leftAt ?? .max) < ($1.value.leftAt ?? .max) }
        for (id, _) in oldestFirst {
            guard records.count > limits.count || bytes > limits.bytes else { return }
            forget(id)
        }
    }

    private mutating func change(_ jobID: String, _ body: (inout StreamRecord) -> Void) {
        // Taken out, so that its arrays are changed in place.
        guard var record = records.removeValue(forKey: jobID) else { return }
        bytes -= record.bytes
        body(&record)
        bytes += record.bytes
        records[jobID] = record
    }
}
