// Which client is given which job's events, and what one that lost its connection is still owed: a state
// machine without I/O or clock. Bytes and connections: ResponseStream.swift. Which worker has the job:
// Dispatcher (LlorchQueue).
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

/// Every job that a client asked for, and for a while what its client was told.
///
/// Each input returns actions, to be performed in order before the next input. A `submit` is answered with
/// `submitted` or `rejected`, whose actions come first. Times are those of one monotonic clock.
///
/// A reader is given `started (token | metrics)* (end | error)` or a lone `error` of its job; a reader whose
/// client comes back is given all of it again, and leaves out what the client holds.
package struct StreamTable {
    package struct Limits: Sendable, Hashable {
        /// Jobs that a record is kept of.
        package var count = 2_000
        /// Memory of all records together.
        package var bytes = 32 << 20
        /// How long a record is kept after its client left or was told the end.
        package var age = Duration.seconds(60)
        /// How long clients are kept waiting while no worker serves.
        package var patience = Duration.seconds(30)
        /// Tokens that a prompt may have; nil leaves that to the workers.
        package var promptTokens: Int?

        package init() {}
    }

    package enum Action: Sendable, Hashable {
        /// Give the job to the dispatcher.
        case submit(GenerationJob)
        /// Ask the dispatcher to end the job.
        case cancel(String)
        /// Give the event to the reader; nothing follows a terminal one.
        case deliver(TokenEvent, to: ReaderID)
        /// No worker has the reader's job: the client should soon be told that it waits.
        case openSoon(ReaderID)
        /// Another connection took this reader's place.
        case drop(ReaderID)
        /// The job ended here, without its worker's word.
        case ended(String, JobFailure)
        /// For the log.
        case note(Occurrence)
    }

    package enum Occurrence: Sendable, Hashable {
        case cameBack(jobID: String, lastEventID: Int)
        /// No worker came back for this many jobs.
        case gaveUp(jobs: Int)
    }

    /// A job whose `submit` was not answered yet.
    private enum Submission {
        case first(GenerationJob, ReaderID)
        case again(String, ReaderID)
    }

    private let patience: Duration
    private let promptTokens: Int?
    private var entries: StreamEntries
    private var submission: Submission?
    /// Events that no client is told of, because its job is over here.
    package private(set) var unclaimed = 0
    private var sweepAt: Duration?
    /// When a worker last served, or nobody waited.
    private var servedAt: Duration
    private var isDraining = false
    private var endAt: Duration?

    package init(limits: Limits = Limits(), now: Duration) {
        patience = limits.patience
        promptTokens = limits.promptTokens
        entries = StreamEntries(limits: limits)
        servedAt = now
    }

    // MARK: - Reading

    /// The readers whose jobs the dispatcher has, with the ids of the jobs.
    package var readers: [ReaderID: String] { entries.readers }
    package var recordBytes: Int { entries.recordBytes }
    package var recordCount: Int { entries.recordCount }
    package func record(of jobID: String) -> StreamRecord? { entries[jobID]?.record }

    // MARK: - Clients

    /// A client asks for a job.
    package mutating func open(_ job: GenerationJob, for reader: ReaderID) -> [Action] {
        if isDraining { return [refuse(reader, Self.draining)] }
        // The dispatcher may have ended it already, but its last event is still on the way to here.
        if entries[job.id]?.phase.isOut == true { return [refuse(reader, Self.active)] }
        submission = .first(job, reader)
        return [.submit(job)]
    }

    /// The dispatcher took the job of the last `submit`; `isWaiting` while no worker has it.
    package mutating func submitted(isWaiting: Bool) -> [Action] {
        defer { submission = nil }
        switch submission {
        case .first(let job, let reader):
            entries.begin(job, for: reader)
            return isWaiting ? [.openSoon(reader)] : []
        case .again(let jobID, let reader):
            entries.move(jobID, to: .read(by: reader))
            return replay(jobID, to: reader)
        case nil:
            return []
        }
    }

    /// The dispatcher refused the job of the last `submit`.
    package mutating func rejected(_ failure: JobFailure) -> [Action] {
        defer { submission = nil }
        switch submission {
        case .first(_, let reader), .again(_, let reader): return [refuse(reader, failure)]
        case nil: return []
        }
    }

    /// A client comes back and wants what follows the frame that ends behind `lastEventID` tokens.
    ///
    /// A job that was cancelled in the client's absence is submitted again after the tokens that came, and
    /// goes on exactly as it would have.
    package mutating func resume(
        _ job: GenerationJob, for reader: ReaderID, after lastEventID: Int
    ) -> [Action] {
        guard let entry = entries[job.id], let record = entry.record else {
            return [refuse(reader, Self.nothingHeld)]
        }
        guard record.fits(job) else { return [refuse(reader, Self.otherContent)] }
        guard record.hasFrame(endingAt: lastEventID) else {
            return [refuse(reader, Self.noSuchFrame)]
        }
        let note = Action.note(.cameBack(jobID: job.id, lastEventID: lastEventID))
        switch entry.phase {
        case .read(let former):
            // The loss of the former connection was not noticed here.
            entries.move(job.id, to: .read(by: reader))
            return [note, .drop(former)] + replay(job.id, to: reader)
        case .absent(let since, let former):
            entries.move(job.id, to: .absent(since: since, returning: reader))
            return [note] + (former.map { [.drop($0)] } ?? [])
        case .left:
            return [note] + submitAgain(job.id, for: reader)
        case .ended:
            return [note] + replay(job.id, to: reader)
        }
    }

    /// A client has gone, or was given up.
    package mutating func leave(_ reader: ReaderID, of jobID: String, now: Duration) -> [Action] {
        switch entries[jobID]?.phase {
        case .read(reader):
            // Nobody reads, so nothing is computed; what was said is kept for a while.
            entries.move(jobID, to: .absent(since: now, returning: nil))
            return [.cancel(jobID)]
        case .absent(let since, .some(reader)):
            entries.move(jobID, to: .absent(since: since, returning: nil))
            return []
        default:
            return []
        }
    }

    /// A client asks for the end of a job; unknown ids are no error.
    package mutating func cancel(_ jobID: String) -> [Action] {
        switch entries[jobID]?.phase {
        case .absent(_, .some(let returning)):
            // Not taken up again for the client that is back: the cancel's answer is the job's end.
            entries.move(jobID, to: .read(by: returning))
            return replay(jobID, to: returning) + [.cancel(jobID)]
        case .absent, .left:
            // Nobody is to come back for a job that was cancelled.
            entries.giveUpRecord(of: jobID)
        case .read, .ended, nil: break
        }
        return [.cancel(jobID)]
    }

    // MARK: - The dispatcher

    /// Takes an event that the dispatcher hands on.
    package mutating func receive(
        _ event: TokenEvent, of jobID: String, now: Duration
    ) -> [Action] {
        switch entries[jobID]?.phase {
        case .read(let reader):
            if let failure = whyPromptIsTooLong(event) {
                return giveUp(jobID, failure, for: reader, now: now)
            }
            entries.append(event, to: jobID)
            if event.isTerminal { end(jobID, now: now) }
            return [.deliver(event, to: reader)]
        case .absent(let since, let returning):
            // Nobody waits, so nobody is told; a client that comes back finds nothing.
            if whyPromptIsTooLong(event) != nil { entries.giveUpRecord(of: jobID) }
            return receiveAbsent(event, of: jobID, since: since, returning, now: now)
        case .ended(let since, true) where event.isTerminal:
            entries.move(jobID, to: .ended(since: since, isOut: false))
            return []
        case .ended, .left, nil:
            unclaimed += 1
            return []
        }
    }

    private mutating func receiveAbsent(
        _ event: TokenEvent, of jobID: String, since: Duration, _ returning: ReaderID?,
        now: Duration
    ) -> [Action] {
        let isRecorded = entries[jobID]?.record != nil
        if case .error = event, isRecorded {
            // The cancel of a job that was left is no part of its answer.
            entries.move(jobID, to: .left(since: since))
            return returning.map { submitAgain(jobID, for: $0) } ?? []
        }
        entries.append(event, to: jobID)
        guard event.isTerminal else { return [] }
        defer { end(jobID, now: now) }
        guard let returning else { return [] }
        // An end without the tokens before it would leave a hole.
        return isRecorded ? replay(jobID, to: returning) : [refuse(returning, Self.nothingHeld)]
    }

    // MARK: - Time and ends

    /// Does what has become due; `isServed` while a worker serves.
    package mutating func tick(now: Duration, isServed: Bool) -> [Action] {
        if now >= sweepAt ?? now {
            sweepAt = now + .seconds(1)
            entries.expire(now: now)
        }
        var actions: [Action] = []
        if isServed || readers.isEmpty {
            servedAt = now
        } else if now - servedAt > patience {
            actions.append(.note(.gaveUp(jobs: readers.count)))
            actions += endAll(Self.workerLost, now: now)
        }
        if let endAt, endAt <= now {
            self.endAt = nil
            actions += endAll(Self.shutdown, now: now)
        }
        return actions
    }

    /// Takes no more jobs; those still here at this time are ended.
    package mutating func drain(until time: Duration) {
        isDraining = true
        endAt = endAt.map { min($0, time) } ?? time
    }

    /// Ends every job with this failure: for its client at once, at the dispatcher by a cancel.
    package mutating func endAll(_ failure: JobFailure, now: Duration) -> [Action] {
        var actions: [Action] = []
        for (jobID, entry) in entries.all {
            switch entry.phase {
            case .read(let reader):
                actions += giveUp(jobID, failure, for: reader, now: now)
            case .absent(let since, .some(let returning)):
                entries.move(jobID, to: .absent(since: since, returning: nil))
                actions.append(refuse(returning, failure))
            case .absent, .left, .ended: break
            }
        }
        return actions
    }

    /// Ends a job that a client reads: for the client at once, at the dispatcher by a cancel.
    private mutating func giveUp(
        _ jobID: String, _ failure: JobFailure, for reader: ReaderID, now: Duration
    ) -> [Action] {
        let isStarted = entries[jobID]?.record?.started != nil
        entries.append(.error(failure), to: jobID)
        entries.move(jobID, to: .ended(since: now, isOut: true))
        if !isStarted { entries.giveUpRecord(of: jobID) }
        return [.ended(jobID, failure), refuse(reader, failure), .cancel(jobID)]
    }

    /// Only a worker counts the tokens of a prompt, and tells their number in `started`.
    private func whyPromptIsTooLong(_ event: TokenEvent) -> JobFailure? {
        guard let limit = promptTokens, case .started(let started) = event,
            started.promptTokens > limit
        else { return nil }
        let message =
            "prompt must have at most \(limit) tokens (got \(started.promptTokens)), the server's "
            + "--max-tokens-in"
        return JobFailure(
            .contextOverflow, message,
            errors: [
                FieldError(field: "prompt", constraint: "max_tokens(\(limit))", message: message)
            ])
    }

    /// The dispatcher and the client have the terminal event.
    private mutating func end(_ jobID: String, now: Duration) {
        entries.move(jobID, to: .ended(since: now, isOut: false))
        // What never began was refused with a status of its own.
        if entries[jobID]?.record?.started == nil { entries.forget(jobID) }
    }

    // MARK: - Coming back

    /// The reader leaves out what its client holds.
    private func replay(_ jobID: String, to reader: ReaderID) -> [Action] {
        entries[jobID]?.record?.events.map { .deliver($0, to: reader) } ?? []
    }

    private mutating func submitAgain(_ jobID: String, for reader: ReaderID) -> [Action] {
        guard let record = entries[jobID]?.record else {
            return [refuse(reader, Self.nothingHeld)]
        }
        if isDraining { return [refuse(reader, Self.draining)] }
        var job = record.job
        job.resumeIDs = record.ids
        submission = .again(jobID, reader)
        return [.submit(job)]
    }

    // MARK: - Refusals

    private func refuse(_ reader: ReaderID, _ failure: JobFailure) -> Action {
        .deliver(.error(failure), to: reader)
    }

    package static let draining = JobFailure(
        .draining, "this server is shutting down; send the job elsewhere")
    private static let shutdown = JobFailure(
        .shutdown, "this server was shut down; send the job again")
    private static let workerLost = JobFailure(
        .workerLost, "no worker came back to go on with the job")
    private static let active = JobFailure(
        .jobIDConflict, "a job with this id is active; choose another id")
    private static let otherContent = JobFailure(
        .jobIDConflict, "a job of other content has this id")
    private static let nothingHeld = JobFailure(
        lastEventID: "nothing of this job is held here; send it without Last-Event-ID")
    private static let noSuchFrame = JobFailure(lastEventID: "no frame with this id was sent")
}

extension JobFailure {
    /// A `Last-Event-ID` from which nothing can be given.
    fileprivate init(lastEventID message: String) {
        self.init(
            .invalidRequest, message,
            errors: [FieldError(field: "Last-Event-ID", constraint: "held", message: message)])
    }
}
