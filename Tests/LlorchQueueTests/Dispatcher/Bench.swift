// A dispatcher on a bench: speaks for workers, reads its actions.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchQueue

struct Bench {
    var dispatcher = Dispatcher()
    private var sequences: [String: UInt64] = [:]

    mutating func submit(
        _ id: String, deadline: UInt32? = nil, lease: UInt32? = nil
    ) throws -> [Dispatcher.Action] {
        try dispatcher.submit(job(id, deadline: deadline, lease: lease), now: .zero)
    }

    mutating func say(
        _ body: WorkerEvent.Body, worker: String = "w", boot: UInt64 = 1, at now: Duration
    ) -> [Dispatcher.Action] {
        let sequence = sequences["\(worker) \(boot)", default: 0]
        sequences["\(worker) \(boot)"] = sequence + 1
        return dispatcher.receive(
            WorkerEvent(worker: worker, boot: boot, sequence: sequence, body: body), now: now)
    }

    mutating func beat(
        _ worker: String, _ state: WorkerStatus.State = .idle, boot: UInt64 = 1,
        digest: String = "d", running: String? = nil, crashedOn: String? = nil, at now: Duration
    ) -> [Dispatcher.Action] {
        let model = ModelFacts(
            name: "m", digest: digest, precision: "f32", contextLength: 8, vocabularySize: 8,
            memoryBytes: 0)
        let status = WorkerStatus(
            state: state, jobs: "j", control: "c", running: running, model: model,
            crashedOn: crashedOn)
        return say(.heartbeat(status), worker: worker, boot: boot, at: now)
    }
}

extension [Dispatcher.Action] {
    var sent: [(message: DispatcherMessage, worker: String)] {
        compactMap { action in
            if case .send(let message, let worker, _) = action { return (message, worker) }
            return nil
        }
    }

    func sentAttempts(of id: String) -> [UInt32] {
        sent.compactMap { message, _ in
            if case .job(let job, let attempt) = message, job.id == id { return attempt }
            return nil
        }
    }

    /// Of the copies sent, in order: the token ids after which the job is to go on.
    func resumptions(of id: String) -> [[TokenID]] {
        sent.compactMap { message, _ in
            if case .job(let job, _) = message, job.id == id { return job.resumeIDs }
            return nil
        }
    }

    var delivered: [TokenEvent] {
        compactMap { action in
            if case .deliver(let event, _) = action { return event }
            return nil
        }
    }

    var failures: [JobFailure.Code] {
        delivered.compactMap { event in
            if case .error(let failure) = event { return failure.code }
            return nil
        }
    }
}
