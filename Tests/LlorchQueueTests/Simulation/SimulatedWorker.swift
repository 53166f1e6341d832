// A worker in virtual time: the real table, and an engine whose token i of a job is a hash of both.
// What happens to it, and when: Simulation.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchQueue

/// The answer of a model to a job, token by token.
struct Oracle: Hashable {
    var model: UInt32
    var jobID: String

    /// Pieces hold one or two tokens, where they are cut follows from the place alone, as the engine's do.
    func piece(at index: Int, limit: Int) -> TokenEvent.TokenPiece {
        let isLong = index + 1 < limit && hash(index) % 4 == 0 && !isInsideLong(index)
        let ids = isLong ? [id(index), id(index + 1)] : [id(index)]
        return .init(text: ids.map { "\($0) " }.joined(), ids: ids, index: index)
    }

    func id(_ index: Int) -> TokenID { hash(index) % 50_257 }

    private func isInsideLong(_ index: Int) -> Bool {
        index > 0 && hash(index - 1) % 4 == 0 && !isInsideLong(index - 1)
    }

    private func hash(_ index: Int) -> UInt32 {
        var hash: UInt32 = 2_166_136_261 ^ model
        for byte in jobID.utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
        hash = (hash ^ UInt32(truncatingIfNeeded: index)) &* 2_654_435_761
        return hash ^ hash >> 15
    }
}

/// One process of a worker.
final class SimulatedWorker {
    /// What the engine does next.
    private enum Step {
        case start
        case token(Int)
    }

    let name: String
    let boot: UInt64
    let model: UInt32
    /// The job that the previous process died in, if it kept a note.
    private(set) var crashedOn: String?
    var table = JobTable()
    /// The process does nothing until then, and its messages wait.
    var frozenUntil = Duration.zero
    var isWorkPlanned = false
    private(set) var sequence: UInt64 = 0
    /// Jobs it was sent.
    private(set) var known: Set<String> = []
    /// Cancelled here before they came, with the attempt.
    private(set) var cancelledUnseen: [String: UInt32] = [:]
    private var isLoading: Bool
    private var run: (job: GenerationJob, step: Step)?

    init(name: String, boot: UInt64, model: UInt32, crashedOn: String? = nil) {
        self.name = name
        self.boot = boot
        self.model = model
        self.crashedOn = crashedOn
        isLoading = boot > 1
    }

    var isBusy: Bool { table.running != nil || table.queuedCount > 0 }

    func receive(_ message: DispatcherMessage, now: Duration) -> [WorkerEvent.Body] {
        switch message {
        case .job(let job, _): known.insert(job.id)
        case .cancel(let reference) where !known.contains(reference.jobID):
            cancelledUnseen[reference.jobID] = reference.attempt
        default: break
        }
        return table.receive(message, now: now).map(\.body)
    }

    /// One step of the engine; tells of a job that begins.
    func work(now: Duration, began: (GenerationJob, UInt32) -> Void) -> [WorkerEvent.Body] {
        guard let running = table.running else {
            run = nil
            guard let next = table.startNext(now: now) else { return [] }
            run = (next.job, .start)
            began(next.job, table.running?.attempt ?? 0)
            return []
        }
        guard let (job, step) = run, job.id == running.jobID else { return [] }
        let event: TokenEvent
        switch step {
        case .start:
            run = (job, .token(job.resumeIDs.count))
            event = started
        case .token(let index) where index >= job.maximumTokens:
            event = end(tokens: index)
        case .token(let index):
            let piece = Oracle(model: model, jobID: job.id)
                .piece(at: index, limit: job.maximumTokens)
            run = (job, .token(index + piece.ids.count))
            event = .token(piece)
        }
        return table.record(event, now: now).map(\.body)
    }

    /// Whether this worker is about to compute this job's token at this place.
    func isAt(_ place: Int) -> Bool {
        if case .token(let index)? = run?.step { return index >= place }
        return false
    }

    /// Hands back what waits and gives up what runs.
    func drain(now: Duration) -> [WorkerEvent.Body] {
        var answers = table.drain(now: now)
        if table.running != nil {
            answers += table.record(.error(JobFailure(.shutdown, "leaving")), now: now)
        }
        return answers.map(\.body) + [.bye(reason: "drained")]
    }

    /// What it says of itself now; its first word after a restart is that it loads.
    func status() -> WorkerEvent.Body {
        defer {
            crashedOn = nil
            isLoading = false
        }
        let facts = ModelFacts(
            name: "m", digest: "\(model)", precision: "f32", contextLength: 64,
            vocabularySize: 50_257, memoryBytes: 0)
        return .heartbeat(
            WorkerStatus(
                state: isLoading ? .loading : isBusy ? .busy : .idle, jobs: "j", control: "c",
                running: table.running?.jobID, model: isLoading ? nil : facts,
                crashedOn: crashedOn))
    }

    func event(_ body: WorkerEvent.Body) -> WorkerEvent {
        defer { sequence += 1 }
        return WorkerEvent(worker: name, boot: boot, sequence: sequence, body: body)
    }
}
