// The jobs of a StreamTable, and what their records cost. Decides nothing but which record goes first where
// there are too many: decisions are StreamTable.swift's.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

/// Where a job stands between its client and the dispatcher.
enum StreamPhase {
    /// The dispatcher has the job; this reader is given its events.
    case read(by: ReaderID)
    /// The job's client left, so it is being cancelled; `returning` came back before that was answered.
    case absent(since: Duration, returning: ReaderID?)
    /// The job was cancelled in its client's absence, and can go on.
    case left(since: Duration)
    /// The job's client was told the end; `isOut` until the dispatcher has said so too.
    case ended(since: Duration, isOut: Bool)

    /// Whether the dispatcher still owes a terminal event.
    var isOut: Bool {
        switch self {
        case .read, .absent: true
        case .left: false
        case .ended(_, let isOut): isOut
        }
    }

    /// Since when nobody reads; nil while someone does.
    var since: Duration? {
        switch self {
        case .read: nil
        case .absent(let since, _), .left(let since), .ended(let since, _): since
        }
    }
}

/// Jobs by their ids.
///
/// A job without a record stays until the dispatcher has ended it, and no longer.
struct StreamEntries {
    struct Entry {
        fileprivate(set) var phase: StreamPhase
        /// Nil where it was given up.
        fileprivate(set) var record: StreamRecord?
        /// Orders jobs by their making.
        let ordinal: UInt64
    }

    private let limits: StreamTable.Limits
    private var entries: [String: Entry] = [:]
    /// Jobs by the readers in their `read` phases.
    private(set) var readers: [ReaderID: String] = [:]
    /// Memory of all records.
    private(set) var recordBytes = 0
    private(set) var recordCount = 0
    private var made: UInt64 = 0

    init(limits: StreamTable.Limits) {
        self.limits = limits
    }

    subscript(jobID: String) -> Entry? { entries[jobID] }

    /// In the order of their making.
    var all: [(jobID: String, entry: Entry)] {
        entries.map { (jobID: $0.key, entry: $0.value) }.sorted {
            $0.entry.ordinal < $1.entry.ordinal
        }
    }

    /// Begins the record of a job, in place of an older one of this id.
    mutating func begin(_ job: GenerationJob, for reader: ReaderID) {
        forget(job.id)
        made += 1
        let record = StreamRecord(job)
        recordBytes += record.bytes
        recordCount += 1
        entries[job.id] = Entry(phase: .read(by: reader), record: record, ordinal: made)
        readers[reader] = job.id
        keepLimits()
    }

    mutating func move(_ jobID: String, to phase: StreamPhase) {
        if case .read(let former) = entries[jobID]?.phase { readers[former] = nil }
        if case .read(let reader) = phase { readers[reader] = jobID }
        entries[jobID]?.phase = phase
        forgetIfEmpty(jobID)
    }

    /// Adds an event to the job's record, if there is one.
    mutating func append(_ event: TokenEvent, to jobID: String) {
        // Taken out, so that its arrays are changed in place.
        guard var entry = entries.removeValue(forKey: jobID) else { return }
        if var record = entry.record.take() {
            recordBytes -= record.bytes
            if record.append(event) {
                recordBytes += record.bytes
                entry.record = record
            } else {
                recordCount -= 1
            }
        }
        entries[jobID] = entry
        keepLimits()
    }

    /// The job goes on, but nobody can come back for it.
    mutating func giveUpRecord(of jobID: String) {
        if let record = entries[jobID]?.record {
            recordBytes -= record.bytes
            recordCount -= 1
            entries[jobID]?.record = nil
        }
        forgetIfEmpty(jobID)
    }

    mutating func forget(_ jobID: String) {
        giveUpRecord(of: jobID)
        if case .read(let reader) = entries[jobID]?.phase { readers[reader] = nil }
        entries[jobID] = nil
    }

    /// Gives up the records whose clients left too long ago.
    mutating func expire(now: Duration) {
        for (jobID, entry) in entries {
            if let since = entry.phase.since, now - since > limits.age { giveUpRecord(of: jobID) }
        }
    }

    private mutating func forgetIfEmpty(_ jobID: String) {
        guard let entry = entries[jobID], entry.record == nil, !entry.phase.isOut else { return }
        entries[jobID] = nil
    }

    /// Gives up the records whose clients left first; those that are read come last.
    private mutating func keepLimits() {
        guard recordCount > limits.count || recordBytes > limits.bytes else { return }
        // Some more than needed: else each event of a table at its limit would sort it again.
        let bytes = limits.bytes - limits.bytes / 16
        let order = entries.filter { $0.value.record != nil }.map { jobID, entry in
            let since = entry.phase.since
            return (
                jobID: jobID, key: (since == nil ? 1 : 0, since ?? .zero, entry.ordinal)
            )
        }
        for (jobID, _) in order.sorted(by: { $0.key < $1.key }) {
            guard recordCount > limits.count || recordBytes > bytes else { return }
            giveUpRecord(of: jobID)
        }
    }
}
