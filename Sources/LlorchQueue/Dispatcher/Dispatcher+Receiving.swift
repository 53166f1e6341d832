// What the dispatcher makes of what workers say: rules 1 and 4 of LLQ/1, and the client's share of each event.
// Whether the worker itself is heard: Dispatcher+Workers.swift.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

extension Dispatcher {
    /// Takes what a worker said.
    package mutating func receive(_ event: WorkerEvent, now: Duration) -> [Action] {
        var actions: [Action] = []
        guard admit(event, now: now, into: &actions) else { return actions }
        switch event.body {
        case .heartbeat(let status):
            note(status, of: event.worker, now: now, into: &actions)
        case .accepted(let reference, let acceptance):
            guard isCurrent(reference, event.worker) else { break }
            workersByName[event.worker]?.unreachableSince = nil
            take(acceptance.state, of: reference.jobID, now: now, into: &actions)
        case .job(let reference, let tokenEvent):
            if endsCancelled(reference, with: tokenEvent, from: event.worker) {
                finish(reference.jobID, with: .error(Self.cancelled), now: now, into: &actions)
                break
            }
            guard isCurrent(reference, event.worker) else { break }
            workersByName[event.worker]?.unreachableSince = nil
            take(tokenEvent, of: reference, from: event.worker, now: now, into: &actions)
        case .refusal:
            counters.malformed += 1
        case .bye:
            workersByName[event.worker]?.isGone = true
            workersByName[event.worker]?.hasLeft = true
            takeBackAll(from: event.worker, .left, now: now, into: &actions)
        }
        assign(now: now, into: &actions)
        return actions
    }

    /// Rule 4: events of another attempt than the current one are ignored.
    private mutating func isCurrent(_ reference: JobReference, _ worker: String) -> Bool {
        if let entry = jobs[reference.jobID], entry.worker == worker,
            entry.attempt == reference.attempt
        {
            return true
        }
        if jobs[reference.jobID] == nil { workersByName[worker]?.foreign = reference }
        counters.fenced += 1
        return false
    }

    /// A worker's answer to a copy.
    private mutating func take(
        _ state: WorkerEvent.Acceptance.State, of id: String, now: Duration,
        into actions: inout [Action]
    ) {
        guard let answer = jobs[id]?.answer else { return }
        jobs[id]?.withCopy { $0.hear(state, now: now, configuration) }
        if answer.isReplay(state) { counters.replayed += 1 }
        if !answer.isAcceptanceTold {
            jobs[id]?.answer.isAcceptanceTold = true
            actions.append(.accepted(jobID: id))
        }
    }

    /// Whether this is the end of a cancelled job: the worker answers with the attempt it knows, which is lower than
    /// the current one if a later copy was lost.
    private func endsCancelled(
        _ reference: JobReference, with event: TokenEvent, from worker: String
    ) -> Bool {
        guard let entry = jobs[reference.jobID] else { return false }
        return event.isTerminal && entry.ending != nil && entry.worker == worker
            && reference.attempt < entry.attempt
    }

    private mutating func take(
        _ event: TokenEvent, of reference: JobReference, from worker: String, now: Duration,
        into actions: inout [Action]
    ) {
        let id = reference.jobID
        let model = workersByName[worker]?.status?.model
        guard let verdict = jobs[id]?.judge(event, model: model) else { return }
        jobs[id]?.withCopy { $0.hear(.running, now: now, configuration) }
        switch verdict {
        case .new where event.isTerminal:
            // On `jobs`, behind all copies of the job: a copy that came after its `ack` would be run again.
            actions.append(.send(.acknowledge(reference), worker: worker, .jobs))
            end(id, with: event, from: worker, now: now, into: &actions)
        case .new:
            if jobs[id]?.isAnswered == false { actions.append(.deliver(event, jobID: id)) }
        case .known:
            break
        case .gap where event.isTerminal && jobs[id]?.ending != nil:
            finish(id, with: .error(Self.cancelled), now: now, into: &actions)
        case .gap:
            jobs[id]?.withCopy { $0.askSoon(now: now, configuration) }
            askIfDue(id, now: now, into: &actions)
        case .diverged(let failure):
            giveUp(id, failure, now: now, into: &actions)
        }
    }

    /// Rule 1: a terminal event of the current attempt; retriable ones send the job elsewhere.
    private mutating func end(
        _ id: String, with event: TokenEvent, from worker: String, now: Duration,
        into actions: inout [Action]
    ) {
        guard case .error(let failure) = event, failure.retriable else {
            finish(id, with: event, now: now, into: &actions)
            return
        }
        workersByName[worker]?.restUntil = now + configuration.rest
        guard jobs[id]?.ending == nil else {
            finish(id, with: .error(Self.cancelled), now: now, into: &actions)
            return
        }
        switch failure.code {
        case .queueFull, .draining, .shutdown: break
        default: jobs[id]?.failures += 1
        }
        if jobs[id]?.failures ?? 0 >= configuration.failureLimit {
            finish(id, with: event, now: now, into: &actions)
        } else {
            counters.movedAfterRefusal += 1
            putBack(id)
        }
    }
}
