// What a worker tells of itself: heartbeats to dispatchers, notices to systemd, a note to its successor.
// Says when the next heartbeat is due and what is in it; it leaves by the outbox of Link/WorkerLink.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchSystem
import Logging

/// The signs of life of one worker.
struct Heart: ~Copyable {
    /// What changes from one heartbeat to the next and is known elsewhere.
    struct Reading {
        var isDraining: Bool
        var isStalled: Bool
        var running: String?
        var queued: Int
        var free: Int
        var outboxBytes: Int
        var malformed: Int
    }

    /// Orders this process among those of its worker.
    let boot: UInt64
    /// When the next heartbeat is due.
    private(set) var nextBeat: Duration

    private let jobsAddress: String
    private let controlAddress: String
    private let note: RunningNote?
    private let service: ServiceNotice?
    /// Whether a heartbeat with the note of the process before has left, or there was no such note.
    private var isCrashTold: Bool
    private var facts: ModelFacts?
    /// 0 to 1; nil once the model is loaded.
    private var loadProgress: Double? = 0

    private static let interval = Duration.seconds(1)

    /// - Parameters:
    ///   - jobs: the jobs address as dispatchers reach it.
    ///   - control: the control address as dispatchers reach it.
    ///   - stateDirectory: where boot number and note are kept; nil keeps neither.
    ///   - now: the first heartbeat is due at once.
    ///   - logger: told what cannot be kept.
    init(
        jobs: String, control: String, stateDirectory: String?, now: Duration, logger: Logger
    ) {
        jobsAddress = jobs
        controlAddress = control
        boot = BootNumber.next(stateDirectory: stateDirectory, logger: logger)
        let note = RunningNote(stateDirectory: stateDirectory, logger: logger)
        self.note = note
        isCrashTold = note?.crashedOn == nil
        service = ServiceNotice()
        nextBeat = now
    }

    // MARK: - What happens

    mutating func noteLoading(_ fraction: Double) { loadProgress = fraction }

    mutating func noteLoaded(_ facts: ModelFacts) {
        self.facts = facts
        loadProgress = nil
        service?.send(.ready)
    }

    func noteLeaving() { service?.send(.stopping) }

    /// Writes down which job runs; nil when none does.
    func noteRunning(_ jobID: String?) { note?.write(jobID) }

    /// An event has left: the note of the process before has been told and must not be told again.
    mutating func noteSent(isJobRunning: Bool) {
        guard !isCrashTold else { return }
        isCrashTold = true
        if !isJobRunning { note?.write(nil) }
    }

    // MARK: - Heartbeats

    /// Lets a heartbeat tell what has just changed.
    mutating func hurry(_ now: Duration) { nextBeat = now }

    /// The heartbeat that is due now; the next is due a second later.
    mutating func beat(_ reading: Reading, now: Duration) -> WorkerStatus {
        nextBeat = now + Self.interval
        service?.send(.alive)
        return WorkerStatus(
            state: state(reading), jobs: jobsAddress, control: controlAddress,
            running: reading.running, queued: reading.queued, free: reading.free, model: facts,
            loadProgress: loadProgress, crashedOn: isCrashTold ? nil : note?.crashedOn,
            outboxBytes: reading.outboxBytes, malformed: reading.malformed)
    }

    private func state(_ reading: Reading) -> WorkerStatus.State {
        if reading.isDraining { return .draining }
        if loadProgress != nil { return .loading }
        if reading.isStalled { return .stalled }
        return reading.running == nil ? .idle : .busy
    }
}
