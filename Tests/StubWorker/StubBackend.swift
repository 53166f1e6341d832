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
/// A prompt of text has one token for each of its bytes. A prompt `crash@n` kills the process before token n, `hang@n` stops the thread there.
package struct StubBackend: InferenceBackend {
    package let facts: ModelFacts
    private let options: StubOptions
    private var job: GenerationJob?
    private var trap: Trap?
    private var pending: [TokenEvent] = []
    /// Ids of the prompt, and of those as many as the answer begins with.
    private var promptIDs: [TokenID] = []
    private var echoed = 0
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
        switch job.prompt {
        case .text(let text):
            trap = Trap(prompt: text)
            promptIDs = text.utf8.map { TokenID($0) }
        case .ids(let ids):
            trap = nil
            promptIDs = ids
        }
        echoed = job.echo ? promptIDs.count : 0
        made = job.resumeIDs.count
        given = made
        dueAt = MonotonicClock.now() + options.prefill
        pending = [
            .started(
                TokenEvent.Started(
                    model: facts.name, startedAt: "1970-01-01T00:00:00Z", seed: job.seed ?? 0,
                    promptTokens: promptIDs.count, queuedMilliseconds: queuedMilliseconds))
        ]
        echo(job)
    }

    /// The prompt in one piece, so that an answer is resumed behind it or at its beginning.
    private mutating func echo(_ job: GenerationJob) {
        guard made < echoed else { return }
        let text: String
        switch job.prompt {
        case .text(let prompt) where made == 0: text = prompt
        default: text = promptIDs[made...].map { "p\($0) " }.joined()
        }
        pending.append(.token(piece(text, Array(promptIDs[made..<echoed]), at: made, of: job)))
        made = echoed
        given = echoed
    }

    private func piece(
        _ text: String, _ ids: [TokenID], at index: Int, of job: GenerationJob
    ) -> TokenEvent.TokenPiece {
        let count = job.logProbabilities
        let entries = ids.indices.map { place in
            let isFirst = index + place == 0 && job.echo
            return TokenLogProbability(
                id: ids[place], bytes: Self.bytes(of: ids[place]),
                logProbability: isFirst ? nil : Self.logProbability(job.id, index + place),
                top: isFirst ? [] : Self.alternatives(count ?? 0, job.id, index + place))
        }
        return TokenEvent.TokenPiece(
            text: text, ids: ids, index: index, logProbabilities: count == nil ? [] : entries)
    }

    private static func bytes(of id: TokenID) -> [UInt8] { Array("t\(id) ".utf8) }

    private static func logProbability(_ jobID: String, _ index: Int) -> Double {
        -Double(hash(jobID, index) % 1_000) / 128
    }

    private static func alternatives(
        _ count: Int, _ jobID: String, _ index: Int
    ) -> [TokenLogProbability.Alternative] {
        (0..<count).map { rank in
            let id = token(jobID, 1_000_000 + 16 * index + rank)
            return TokenLogProbability.Alternative(
                id: id, bytes: bytes(of: id), logProbability: -Double(rank + 1) / 64)
        }
    }

    package mutating func step() -> BackendStep {
        if !pending.isEmpty { return .event(pending.removeFirst()) }
        guard let job else { return .finished }
        let limit = job.maximumTokens + echoed
        if made >= limit {
            self.job = nil
            return .event(
                .end(
                    TokenEvent.End(
                        tokensOut: made, decodeTimeMilliseconds: 0, stopReason: .maximumTokens,
                        promptTokens: promptIDs.count, prefillMilliseconds: 0)))
        }
        let left = dueAt - MonotonicClock.now()
        if left > .zero {
            Self.sleep(min(left, Self.slice))
            return .working
        }
        spring()
        dueAt = MonotonicClock.now() + options.token
        made += 1
        if made < limit, Self.isHeld(job.id, made - 1) { return .working }
        let ids = (given..<made).map { Self.token(job.id, $0) }
        let piece = piece(ids.map { "t\($0) " }.joined(), ids, at: given, of: job)
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
