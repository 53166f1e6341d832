// Events that libzmq has not taken yet: in order, bounded, and numbered when they leave.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

/// What waits for the reader of events.
///
/// At its limit the outbox merges the tokens of each job. If it is still full, it takes only events that the
/// reader would not ask for again; the worker then pauses the running job, so that these are few.
package struct Outbox {
    package let worker: String
    package let boot: UInt64
    /// Most bytes that may wait, counted roughly as on the wire.
    package let limit: Int
    package private(set) var bytes = 0
    /// Repeatable events that were left out because the outbox was full.
    package private(set) var dropped = 0
    /// Events handed over so far, which is the number of the next event.
    package private(set) var sequence: UInt64 = 0

    private var bodies: [WorkerEvent.Body] = []
    private var head = 0
    /// Tokens behind `bodies`, to which the job's next tokens are added; nil if the last event holds no tokens.
    private var growing: (reference: JobReference, piece: TokenEvent.TokenPiece)?
    private var heartbeat: WorkerStatus?
    /// Bytes appended since tokens were last merged.
    private var unmergedBytes = 0
    /// The next event's bytes, kept when libzmq would not take them.
    private var refused: [UInt8]?
    /// The heartbeat that is in `refused`; nil if another event is.
    private var refusedHeartbeat: WorkerStatus?

    package init(worker: String, boot: UInt64, limit: Int = 16 << 20) {
        self.worker = worker
        self.boot = boot
        self.limit = limit
    }

    package var isFull: Bool { bytes >= limit }
    package var isEmpty: Bool {
        refused == nil && heartbeat == nil && head == bodies.count && growing == nil
    }
    /// Whether so much waits that the reader does not care how many events the tokens come in.
    private var isBehind: Bool { bytes >= limit / 64 }

    package mutating func append(_ answers: [Answer]) {
        for answer in answers {
            if isFull, answer.isRepeatable {
                dropped += 1
                continue
            }
            append(answer.body)
            // Merging goes through all events, so not for each event that comes.
            if isFull, unmergedBytes > limit / 8 { mergeTokens() }
        }
    }

    private mutating func append(_ body: WorkerEvent.Body) {
        if isBehind, case .job(let reference, .token(let piece)) = body {
            if growing?.reference == reference, growing?.piece.absorb(piece) == true {
                bytes += piece.approximateBytes
                return
            }
            close()
            growing = (reference, piece)
        } else {
            close()
            bodies.append(body)
        }
        bytes += body.approximateBytes
        unmergedBytes += body.approximateBytes
    }

    private mutating func close() {
        guard let (reference, piece) = growing else { return }
        growing = nil
        bodies.append(.job(reference, .token(piece.compact)))
    }

    /// Makes one event of the token events that follow each other within a job, even if events of other jobs stand
    /// between them.
    private mutating func mergeTokens() {
        close()
        unmergedBytes = 0
        var merged: [WorkerEvent.Body] = []
        var runs: [(place: Int, reference: JobReference, piece: TokenEvent.TokenPiece)] = []
        /// The run in `runs` to which a job's next tokens may be added.
        var open: [JobReference: Int] = [:]
        for body in bodies[head...] {
            guard case .job(let reference, let event) = body else {
                merged.append(body)
                continue
            }
            open[reference] = open[reference].flatMap { run in
                guard case .token(let piece) = event, runs[run].piece.absorb(piece) else {
                    return nil
                }
                return run
            }
            if open[reference] != nil { continue }
            if case .token(let piece) = event {
                open[reference] = runs.count
                runs.append((merged.count, reference, piece))
            }
            merged.append(body)
        }
        for run in runs { merged[run.place] = .job(run.reference, .token(run.piece)) }
        bodies = merged
        head = 0
        bytes = merged.reduce(0) { $0 + $1.approximateBytes }
    }

    /// Replaces a heartbeat that has not left.
    ///
    /// A heartbeat leaves before all other events, because it tells the state of now.
    package mutating func put(_ status: WorkerStatus) {
        var status = status
        let unsent = heartbeat ?? refusedHeartbeat
        status.crashedOn = status.crashedOn ?? unsent?.crashedOn
        if refusedHeartbeat != nil {
            refused = nil
            refusedHeartbeat = nil
        }
        heartbeat = status
    }

    /// Hands over events until `send` answers false, which says that it would have to wait.
    package mutating func flush<Failure: Error>(
        _ send: ([UInt8]) throws(Failure) -> Bool
    ) throws(Failure) {
        while let bytes = refused ?? next() {
            refused = bytes
            guard try send(bytes) else { return }
            refused = nil
            refusedHeartbeat = nil
            sequence += 1
        }
    }

    private mutating func next() -> [UInt8]? {
        if let status = heartbeat {
            heartbeat = nil
            refusedHeartbeat = status
            return serialize(.heartbeat(status))
        }
        if head == bodies.count { close() }
        guard head < bodies.count else { return nil }
        let body = bodies[head]
        head += 1
        bytes -= body.approximateBytes
        if head > 1_024, head > bodies.count / 2 {
            bodies.removeFirst(head)
            head = 0
        } else if head == bodies.count {
            bodies.removeAll(keepingCapacity: bodies.capacity <= 4_096)
            head = 0
        }
        return serialize(body)
    }

    private func serialize(_ body: WorkerEvent.Body) -> [UInt8] {
        WorkerEvent(worker: worker, boot: boot, sequence: sequence, body: body).serialized()
    }
}

extension WorkerEvent.Body {
    fileprivate var approximateBytes: Int {
        let envelope = 160
        switch self {
        case .heartbeat, .bye: return envelope + 256
        case .accepted(let reference, _): return envelope + reference.jobID.utf8.count
        case .refusal(let failure): return envelope + failure.approximateBytes
        case .job(let reference, let event):
            let content =
                switch event {
                case .token(let piece): piece.approximateBytes
                case .error(let failure): failure.approximateBytes
                case .started(let started): 128 + started.model.utf8.count
                case .metrics, .end: 128
                }
            return envelope + reference.jobID.utf8.count + content
        }
    }
}

extension TokenEvent.TokenPiece {
    fileprivate var approximateBytes: Int { text.utf8.count + 6 * ids.count }

    /// The piece in arrays that have no room for more.
    fileprivate var compact: Self {
        Self(
            text: String(decoding: Array(text.utf8), as: UTF8.self), ids: ids.map { $0 },
            index: index)
    }
}

extension JobFailure {
    fileprivate var approximateBytes: Int {
        errors.reduce(64 + message.utf8.count) {
            $0 + 64 + $1.field.utf8.count + $1.constraint.utf8.count + $1.message.utf8.count
                + ($1.value?.utf8.count ?? 0)
        }
    }
}
