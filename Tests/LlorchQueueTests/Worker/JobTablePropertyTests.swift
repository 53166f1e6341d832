// Whatever is sent in whatever order: one terminal event for each accepted job, a clean grammar, bounds.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchProtocol
import LlorchQueue
import TestSupport
import Testing

@Suite struct JobTablePropertyTests {
    @Test(arguments: 0..<60 as Range<UInt64>)
    func anyInterleavingEndsEachJobOnce(seed: UInt64) {
        var limits = JobTable.Limits()
        limits.jobs = 12
        limits.finished = 8
        limits.tombstones = 8
        limits.tombstoneAge = .milliseconds(400)
        limits.finishedAge = .milliseconds(900)
        var run = Run(seed: seed, limits: limits)
        for _ in 0..<3_000 { run.step() }
        run.finish()
        #expect(run.violations.isEmpty, "seed \(seed): \(run.violations.prefix(3))")
        #expect(run.open.isEmpty, "seed \(seed): without an end: \(run.open.keys)")
        #expect(run.endings > 100, "seed \(seed): only \(run.endings) jobs ended")
    }
}

/// A table under random inputs, and what must hold of its answers.
private struct Run {
    /// How far an accepted job's live events have come.
    enum Progress {
        case accepted
        case started
    }

    var table: JobTable
    var random: SplitMix
    var now = Duration.zero
    var open: [String: Progress] = [:]
    var endings = 0
    /// The attempt under which each job was last accepted.
    private var attempts: [String: UInt32] = [:]
    var violations: [String] = []
    private var backend = ScriptedBackend()

    init(seed: UInt64, limits: JobTable.Limits) {
        table = JobTable(limits: limits)
        random = SplitMix(seed: seed)
    }

    mutating func step() {
        now += random.duration(milliseconds: 0...10)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<30: send(randomJob())
        case 30..<40: send(.cancel(randomReference()))
        case 40..<48: send(.acknowledge(randomReference()))
        case 48..<50: send(.ping(jobID: Bool.random(using: &random) ? nil : randomID()))
        case 50..<60: check(table.expire(now: now), live: true)
        default: advance()
        }
        if table.queuedCount > table.limits.jobs { violations.append("the queue is too long") }
        if table.unacknowledged > table.limits.finished { violations.append("too many finished") }
    }

    mutating func finish() {
        while table.queuedCount > 2 { advance() }
        check(table.drain(now: now), live: true)
        while table.running != nil { advance() }
    }

    private mutating func advance() {
        if table.running == nil {
            backend.cancel()
            guard let next = table.startNext(now: now) else { return }
            do throws(JobFailure) {
                try backend.start(next.job, queuedMilliseconds: next.queuedMilliseconds)
            } catch {
                check(table.record(.error(error), now: now), live: true)
            }
        } else if case .event(let event) = backend.step() {
            check(table.record(event, now: now), live: true)
        }
    }

    private mutating func send(_ message: DispatcherMessage) {
        check(table.receive(message, now: now), live: false)
        if case .cancel(let reference) = message, let running = table.running,
            running.jobID == reference.jobID, running.attempt <= reference.attempt
        {
            violations.append("cancelled, yet running: \(reference.jobID)")
        }
    }

    /// Live answers belong to an open job; answers to messages may also repeat what is over.
    private mutating func check(_ answers: [Answer], live: Bool) {
        var isReplay = false
        for answer in answers {
            guard let id = answer.reference?.jobID else { continue }
            let attempt = answer.reference?.attempt ?? 0
            if let state = answer.acceptance {
                isReplay = true
                attempts[id] = attempt
                if state == .queued, open[id] == nil { open[id] = .accepted }
                if state == .done, open[id] != nil { violations.append("done, yet open: \(id)") }
            } else if let event = answer.event {
                if isReplay || answer.failure == .jobIDConflict { continue }
                // The answer to a cancel of an earlier attempt, which is over already.
                if !live, attempt < attempts[id] ?? 0 { continue }
                follow(event, of: id, live: live)
            }
        }
    }

    private mutating func follow(_ event: TokenEvent, of id: String, live: Bool) {
        guard let progress = open[id] else {
            if live || !event.isTerminal { violations.append("\(event) of closed job \(id)") }
            return
        }
        switch (event, progress) {
        case (.started, .accepted): open[id] = .started
        case (.token, .started), (.metrics, .started): break
        case (.end, .started), (.error, _):
            open[id] = nil
            endings += 1
        default: violations.append("\(event) after \(progress)")
        }
    }

    private mutating func randomID() -> String { "j\(Int.random(in: 0..<40, using: &random))" }

    private mutating func randomReference() -> JobReference {
        reference(randomID(), UInt32.random(in: 1...3, using: &random))
    }

    private mutating func randomJob() -> DispatcherMessage {
        let deadlines: [UInt32?] = [nil, nil, nil, 50, 300]
        let sent = job(
            randomID(), prompt: Int.random(in: 0..<20, using: &random) == 0 ? "Other" : "Hello",
            tokens: Int.random(in: 1...6, using: &random) > 5 ? 6 : 4,
            deadline: deadlines.randomElement(using: &random) ?? nil,
            lease: Int.random(in: 0..<10, using: &random) == 0 ? 200 : nil)
        return .job(sent, attempt: UInt32.random(in: 1...3, using: &random))
    }
}
