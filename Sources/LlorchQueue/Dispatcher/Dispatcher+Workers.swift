// Workers that announce themselves, begin anew, fall behind in their sequence or cannot be sent to.
// When what was sent to them is void: Dispatcher+Losses.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

extension Dispatcher {
    /// Notes that a worker was heard; false for an event of a process that has a successor.
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
            guard worker.hasLeft else {
                counters.fenced += 1
                if case .heartbeat = event.body { noteIgnored(event, now: now) }
                return false
            }
            // The newest process said that it ended, so that the name is free: the clock was set back since, or an
            // older process outlived it.
            workersByName[event.worker] = DispatcherWorker(event, now: now)
            counters.boots += 1
            return true
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
                jobs[id]?.withCopy { $0.askSoon(now: now, configuration) }
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

    private mutating func noteIgnored(_ event: WorkerEvent, now: Duration) {
        var ignored =
            workersByName[event.worker]?.ignored ?? IgnoredProcess(boot: event.boot, now: now)
        ignored.hear(boot: event.boot, now: now)
        workersByName[event.worker]?.ignored = ignored
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
}

extension WorkerEvent {
    /// The job that the previous process died in, if this event names it.
    fileprivate var crashedOn: String? {
        if case .heartbeat(let status) = body { return status.crashedOn }
        return nil
    }
}
