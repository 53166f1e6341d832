// The engine of the fault tests: sleeps instead of computing, and every token is known beforehand.
// What a stream must be is said by oracle.py of the fault tests.
// SPDX-License-Identifier: Apache-2.0

import Glibc
package import LlorchEngine
package import LlorchProtocol
import LlorchQueue
import LlorchSystem

/// Token i of a job is a function of the job's id and i, so that a stream that was cut, moved and put
/// together again can be compared with the right one.
///
/// A prompt `crash@n` kills the process before token n, `hang@n` stops the thread there.
package struct StubBackend: InferenceBackend {
    package let facts: ModelFacts
    private let options: StubOptions
    private var job: GenerationJob?
    private var trap: Trap?
    private var pending: [TokenEvent] = []
    /// Ids made, those of `resume_ids` included, and how many of them were given out.
    private var made = 0
    private var given = 0
    private var dueAt = Duration.zero

    private static let vocabularySize = 50_257
    /// The longest sleep of one step: the worker looks at its sockets between two steps.
    private static let slice = Duration.milliseconds(5)

    private enum Trap {
        case crash(Int)
        case hang(Int)

        init?(prompt: String) {
            let parts = prompt.split(separator: "@")
            guard parts.count == 2, let count = Int(parts[1]) else { return nil }
            switch parts[0] {
            case "crash": self = .crash(count)
            case "hang": self = .hang(count)
            default: return nil
            }
        }
    }

    package init(_ options: StubOptions) {
        self.options = options
        facts = ModelFacts(
            name: "stub", digest: "5707b0", precision: "f32", contextLength: 1_024,
            vocabularySize: Self.vocabularySize, memoryBytes: 0)
    }

    /// Sleeps as long as loading would take, telling `progress`.
    package static func load(
        _ options: StubOptions, progress: (Double) throws -> Void
    ) throws -> StubBackend {
        var time = Duration.zero
        while time < options.load {
            try progress(time / options.load)
            sleep(slice)
            time += slice
        }
        return StubBackend(options)
    }

    // MARK: - What it says

    /// FNV-1a over the id and the place, finished so that neighbours differ in all bits.
    package static func hash(_ jobID: String, _ index: Int) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        for byte in jobID.utf8 { add(byte) }
        for shift in stride(from: 0, to: 32, by: 8) {
            add(UInt8(truncatingIfNeeded: index >> shift))
        }
        hash = (hash ^ (hash >> 33)) &* 0xff51_afd7_ed55_8ccd
        return hash ^ (hash >> 33)
    }

    package static func token(_ jobID: String, _ index: Int) -> TokenID {
        TokenID(hash(jobID, index) % UInt64(vocabularySize))
    }

    /// Now and then a token is held back until the next, as a half character or stop sequence would be.
    private static func isHeld(_ jobID: String, _ index: Int) -> Bool {
        (hash(jobID, index) >> 40) % 8 == 0
    }

    // MARK: - InferenceBackend

    package mutating func start(
        _ job: GenerationJob, queuedMilliseconds: Int
    ) throws(JobFailure) {
        precondition(self.job == nil, "a job is running")
        self.job = job
        trap = Trap(prompt: job.prompt)
        made = job.resumeIDs.count
        given = made
        dueAt = MonotonicClock.now() + options.prefill
        pending = [
            .started(
                TokenEvent.Started(
                    model: facts.name, startedAt: "1970-01-01T00:00:00Z", seed: job.seed ?? 0,
                    promptTokens: job.prompt.utf8.count, queuedMilliseconds: queuedMilliseconds))
        ]
    }

    package mutating func step() -> BackendStep {
        if !pending.isEmpty { return .event(pending.removeFirst()) }
        guard let job else { return .finished }
        if made >= job.maximumTokens {
            self.job = nil
            return .event(
                .end(
                    TokenEvent.End(
                        tokensOut: made, decodeTimeMilliseconds: 0, stopReason: .maximumTokens,
                        promptTokens: job.prompt.utf8.count, prefillMilliseconds: 0)))
        }
        let left = dueAt - MonotonicClock.now()
        if left > .zero {
            Self.sleep(min(left, Self.slice))
            return .working
        }
        spring()
        dueAt = MonotonicClock.now() + options.token
        made += 1
        if made < job.maximumTokens, Self.isHeld(job.id, made - 1) { return .working }
        let ids = (given..<made).map { Self.token(job.id, $0) }
        let piece = TokenEvent.TokenPiece(
            text: ids.map { "t\($0) " }.joined(), ids: ids, index: given)
        given = made
        return .event(.token(piece))
    }

    package mutating func cancel() {
        job = nil
        pending = []
    }

    // MARK: - Faults and time

    private func spring() {
        switch trap {
        case .crash(made): kill(getpid(), SIGKILL)
        case .hang(made): while true { Self.sleep(.seconds(1)) }
        default: break
        }
    }

    private static func sleep(_ time: Duration) {
        usleep(UInt32(clamping: time.wholeMicroseconds))
    }
}
