// Rule 3 of LLQ/1: what was sent to a worker is void when it is silent, begins anew or leaves, and a job that
// was running when its workers died is not sent again for ever.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

extension Dispatcher {
    /// Why jobs are taken back from a worker.
    enum Loss {
        /// `crashedOn` is the job that the last process died in, if its successor knows it.
        case restarted(from: UInt64, crashedOn: String?)
        case silent(boot: UInt64)
        case left
    }

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
            if entry.ending != nil {
                finish(id, with: .error(Self.cancelled), now: now, into: &actions)
                continue
            }
            switch loss {
            case .restarted(let boot, let crashedOn):
                if crashedOn.map({ $0 == id }) ?? entry.isRunning {
                    jobs[id]?.blame(.init(worker: name, boot: boot))
                }
            case .silent(let boot):
                let holder = DispatchedJob.Holder(worker: name, boot: boot)
                jobs[id]?.silentHolder = holder
                if entry.isRunning { jobs[id]?.blame(holder) }
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
