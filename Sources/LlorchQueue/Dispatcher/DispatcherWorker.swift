// What the dispatcher knows of each worker, and rule 3: when what was sent to it is void.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

/// A worker as its events describe it.
package struct DispatcherWorker: Sendable, Hashable {
    package let name: String
    /// Of the newest process heard.
    package internal(set) var boot: UInt64
    /// When it was last heard, by the dispatcher's clock.
    package internal(set) var heardAt: Duration
    /// From its last heartbeat.
    package internal(set) var status: WorkerStatus?
    /// When that heartbeat came; nil before the first of this process.
    package internal(set) var statusAt: Duration?
    /// It said `bye`, or fell silent.
    package internal(set) var isGone = false
    /// It said `bye` and nothing since.
    package internal(set) var hasLeft = false

    var nextSequence: UInt64
    var restUntil = Duration.zero
    var unreachableSince: Duration?
    var pingAt = Duration.zero
    /// Of its last event about a job that nobody here knows.
    var foreign: JobReference?
    /// A running job that nobody here knows, and since when.
    var stranger: Stranger?
    /// Jobs it has or may have.
    package internal(set) var load = 0
    /// Larger is later.
    var lastAssigned: UInt64 = 0

    struct Stranger: Sendable, Hashable {
        var jobID: String
        var cancelAt: Duration
    }

    init(_ event: WorkerEvent, now: Duration) {
        name = event.worker
        boot = event.boot
        heardAt = now
        nextSequence = event.sequence &+ 1
    }

    /// Whether it can be given a job: heard of late, loaded, not leaving, reading our events.
    package var isServing: Bool {
        !isGone && (status?.state == .idle || status?.state == .busy)
    }
}

extension Dispatcher {
    /// Why jobs are taken back from a worker.
    enum Loss {
        /// `crashedOn` is the job that the last process died in, where its successor knows.
        case restarted(from: UInt64, crashedOn: String?)
        case silent(boot: UInt64)
        case left
    }

    /// Notes that a worker was heard; false for a process that has a successor.
    mutating func admit(
        _ event: WorkerEvent, now: Duration, into actions: inout [Action]
    ) -> Bool {
        guard var worker = workersByName[event.worker] else {
            guard workersByName.count < configuration.maximumWorkers else {
                counters.fenced += 1
                return false
            }
            workersByName[event.worker] = DispatcherWorker(event, now: now)
            counters.boots += 1
            return true
        }
        if event.boot < worker.boot {
            counters.fenced += 1
            return false
        }
        var loss: Loss?
        if event.boot > worker.boot {
            loss = .restarted(from: worker.boot, crashedOn: event.crashedOn)
            let successor = DispatcherWorker(event, now: now)
            worker.boot = successor.boot
            worker.nextSequence = successor.nextSequence
            worker.stranger = nil
            worker.status?.state = .loading
            worker.restUntil = .zero
            counters.boots += 1
        } else if event.sequence > worker.nextSequence {
            counters.gaps += 1
            for id in jobs.keys where jobs[id]?.worker == event.worker {
                jobs[id]?.askSoon(now: now, configuration)
            }
        }
        worker.nextSequence = max(worker.nextSequence, event.sequence &+ 1)
        worker.heardAt = now
        worker.isGone = false
        worker.hasLeft = false
        workersByName[event.worker] = worker
        if let loss { takeBackAll(from: event.worker, loss, now: now, into: &actions) }
        return true
    }

    mutating func note(
        _ status: WorkerStatus, of name: String, now: Duration, into actions: inout [Action]
    ) {
        guard var worker = workersByName[name] else { return }
        if worker.status?.jobs != status.jobs || worker.status?.control != status.control {
            actions.append(.connect(worker: name, jobs: status.jobs, control: status.control))
        }
        worker.status = status
        worker.statusAt = now
        if let running = status.running, jobs[running] == nil {
            if worker.stranger?.jobID != running {
                worker.stranger = .init(
                    jobID: running, cancelAt: now + configuration.strangerGrace)
            } else if let stranger = worker.stranger, now >= stranger.cancelAt {
                // A cancel of a lower attempt than the worker's would not end it.
                let heard = worker.foreign?.jobID == running ? worker.foreign?.attempt : nil
                let attempt = max(1, heard ?? 1, endedAttempts.peek(running) ?? 1)
                actions.append(
                    .send(
                        .cancel(JobReference(jobID: running, attempt: attempt)), worker: name,
                        .control))
            }
        } else {
            worker.stranger = nil
        }
        workersByName[name] = worker
    }

    mutating func noteUnreachable(_ name: String, now: Duration, into actions: inout [Action]) {
        guard var worker = workersByName[name] else { return }
        worker.restUntil = max(worker.restUntil, now + configuration.unreachableRest)
        let since = worker.unreachableSince ?? now
        worker.unreachableSince = since
        if now - since > configuration.wedged, now - worker.heardAt < configuration.silence {
            worker.unreachableSince = nil
            actions.append(.reconnect(worker: name))
        }
        workersByName[name] = worker
    }

    // MARK: - Rule 3

    mutating func lookForSilence(now: Duration, into actions: inout [Action]) {
        for (name, worker) in workersByName.sorted(by: { $0.key < $1.key }) {
            let silence = now - worker.heardAt
            if silence > configuration.silence, !worker.isGone {
                workersByName[name]?.isGone = true
                takeBackAll(from: name, .silent(boot: worker.boot), now: now, into: &actions)
            }
            if silence > configuration.forget {
                workersByName[name] = nil
                actions.append(.disconnect(worker: name))
            }
        }
    }

    /// Everything sent to the worker is void.
    mutating func takeBackAll(
        from name: String, _ loss: Loss, now: Duration, into actions: inout [Action]
    ) {
        for id in jobs.keys.sorted() {
            guard let entry = jobs[id], entry.worker == name else { continue }
            if entry.isAnswered || entry.cancelAt != nil {
                finish(id, with: .error(Self.cancelled), into: &actions)
                continue
            }
            switch loss {
            case .restarted(let boot, let crashedOn):
                if crashedOn.map({ $0 == id }) ?? (entry.stage == .running) {
                    jobs[id]?.blame(.init(worker: name, boot: boot))
                }
            case .silent(let boot):
                let holder = DispatchedJob.Holder(worker: name, boot: boot)
                jobs[id]?.silentHolder = holder
                if entry.stage == .running { jobs[id]?.blame(holder) }
            case .left: break
            }
            putBack(id)
            giveUpIfPoison(id, now: now, into: &actions)
            if jobs[id] != nil { count(loss) }
        }
        if case .restarted(let boot, let id?) = loss,
            let holder = jobs[id]?.silentHolder, holder == .init(worker: name, boot: boot)
        {
            jobs[id]?.blame(holder)
            giveUpIfPoison(id, now: now, into: &actions)
        }
    }

    private mutating func count(_ loss: Loss) {
        switch loss {
        case .restarted: counters.movedAfterRestart += 1
        case .silent: counters.movedAfterSilence += 1
        case .left: counters.movedAfterBye += 1
        }
    }

    private mutating func giveUpIfPoison(
        _ id: String, now: Duration, into actions: inout [Action]
    ) {
        guard jobs[id]?.crashes ?? 0 >= configuration.crashLimit else { return }
        let failure = JobFailure(
            .poison, "the worker died \(configuration.crashLimit) times in this job")
        giveUp(id, failure, now: now, into: &actions)
    }
}

extension WorkerEvent {
    /// The job that the process before this one died in, where this event tells.
    fileprivate var crashedOn: String? {
        if case .heartbeat(let status) = body { return status.crashedOn }
        return nil
    }
}
