// What the dispatcher sends without being asked: jobs to free workers, copies, cancels, pings.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

extension Dispatcher {
    /// Gives waiting jobs to free workers, the least loaded and longest unused first.
    mutating func assign(now: Duration, into actions: inout [Action]) {
        guard !waiting.isEmpty else { return }
        var free = workersByName.values.filter { worker in
            worker.isServing && worker.restUntil <= now && worker.load < configuration.window
        }
        guard !free.isEmpty else { return }
        var places: [Int] = []
        for (place, id) in waiting.enumerated() {
            if free.isEmpty { break }
            guard let entry = jobs[id] else { continue }
            let fitting = free.indices.filter {
                entry.answer.canContinue(with: free[$0].status?.model)
            }
            let chosen = fitting.min { left, right in
                (free[left].load, free[left].lastAssigned, free[left].name)
                    < (free[right].load, free[right].lastAssigned, free[right].name)
            }
            guard let chosen else { continue }
            let name = free[chosen].name
            jobs[id]?.send(to: name, now: now, configuration)
            if !entry.answer.ids.isEmpty { counters.resumed += 1 }
            if let message = jobs[id]?.message(now: now) {
                actions.append(.send(message, worker: name, .jobs))
            }
            assigned += 1
            free[chosen].load += 1
            free[chosen].lastAssigned = assigned
            workersByName[name]?.load = free[chosen].load
            workersByName[name]?.lastAssigned = assigned
            if free[chosen].load >= configuration.window { free.remove(at: chosen) }
            places.append(place)
        }
        for place in places.reversed() { waiting.remove(at: place) }
    }

    /// Rule 2: sends the job again if there is no news of it, resuming after the tokens that are held by now.
    mutating func askIfDue(_ id: String, now: Duration, into actions: inout [Action]) {
        guard let entry = jobs[id], case .out(let copy) = entry.state, copy.question.at <= now
        else { return }
        if copy.unanswered >= configuration.unansweredLimit {
            counters.relabelled += 1
            jobs[id]?.relabel()
        }
        jobs[id]?.withCopy { $0.ask(now: now, configuration) }
        if copy.question.reason == .gap {
            counters.resentAfterGap += 1
        } else {
            counters.resentAfterQuiet += 1
        }
        if let message = jobs[id]?.message(now: now) {
            actions.append(.send(message, worker: copy.worker, .jobs))
        }
    }

    mutating func sendDueCancel(_ id: String, now: Duration, into actions: inout [Action]) {
        guard let entry = jobs[id], case .ending(let copy, let ending) = entry.state,
            ending.cancelAt <= now
        else { return }
        jobs[id]?.planCancel(at: now + configuration.cancelInterval)
        let reference = JobReference(jobID: id, attempt: entry.attempt)
        actions.append(.send(.cancel(reference), worker: copy.worker, .control))
    }

    /// Ends jobs whose deadline passed while they waited here, or whose worker did not end them in time; also jobs
    /// that no worker can continue.
    mutating func enforceDeadline(_ id: String, now: Duration, into actions: inout [Action]) {
        guard let entry = jobs[id] else { return }
        if let deadline = entry.deadlineAt {
            let grace = entry.isWaiting ? .zero : configuration.deadlineGrace
            if now >= deadline + grace, !entry.isAnswered {
                giveUp(
                    id, JobFailure(.inferenceTimeout, "the deadline passed"), now: now,
                    into: &actions)
                return
            }
        }
        if entry.isWaiting, entry.answer.model != nil, hasOnlyOtherModels(than: entry) {
            let failure = JobFailure(
                .diverged, "no worker left has the model this answer began with")
            giveUp(id, failure, now: now, into: &actions)
        }
    }

    private func hasOnlyOtherModels(than entry: DispatchedJob) -> Bool {
        let known = workersByName.values.filter { $0.status != nil }
        return known.contains { $0.isServing }
            && !known.contains { worker in
                // A worker that still loads may turn out to have the same model.
                worker.status?.state == .loading
                    || entry.answer.canContinue(with: worker.status?.model)
            }
    }

    /// Pings the workers that have jobs with a lease, three times in the shortest lease.
    mutating func renewLeases(now: Duration, into actions: inout [Action]) {
        var shortest: [String: Duration] = [:]
        for entry in jobs.values {
            guard let worker = entry.worker, let milliseconds = entry.job.leaseMilliseconds
            else { continue }
            let lease = Duration.milliseconds(milliseconds)
            shortest[worker] = min(shortest[worker] ?? lease, lease)
        }
        for (worker, lease) in shortest.sorted(by: { $0.key < $1.key })
        where workersByName[worker].map({ $0.pingAt <= now || $0.pingAt > now + lease }) ?? false {
            workersByName[worker]?.pingAt = now + max(.milliseconds(1), lease / 3)
            actions.append(.send(.ping(jobID: nil), worker: worker, .control))
        }
    }
}
