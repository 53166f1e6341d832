// Events that libzmq has not taken yet, bounded, in order; numbers them when they leave.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

/// What waits for the reader of events.
///
/// Over its limit it takes only what its reader would not ask for again; the worker then pauses the
/// running job, so that those are few.
package struct Outbox {
    package let worker: String
    package let boot: UInt64
    /// Bytes, roughly those on the wire.
    package let limit: Int
    package private(set) var bytes = 0
    /// Repeatable events left out.
    package private(set) var dropped = 0
    /// Number of events handed over.
    package private(set) var sequence: UInt64 = 0

    private var bodies: [WorkerEvent.Body] = []
    private var head = 0
    private var heartbeat: WorkerStatus?
    /// The next event's bytes, kept when libzmq would not take them.
    private var refused: [UInt8]?

    package init(worker: String, boot: UInt64, limit: Int = 16 << 20) {
        self.worker = worker
        self.boot = boot
        self.limit = limit
    }

    package var isFull: Bool { bytes >= limit }
    package var isEmpty: Bool { refused == nil && heartbeat == nil && head == bodies.count }

    package mutating func append(_ answers: [Answer]) {
        for answer in answers {
            if isFull, answer.isRepeatable {
                dropped += 1
                continue
            }
            bodies.append(answer.body)
            bytes += answer.body.approximateBytes
        }
    }

    /// Replaces a heartbeat that has not left; it goes before all else, being news of now.
    package mutating func put(_ status: WorkerStatus) {
        var status = status
        status.crashedOn = status.crashedOn ?? heartbeat?.crashedOn
        heartbeat = status
    }

    /// Hands over what is taken; `send` answers false when it would have to wait.
    package mutating func flush<Failure: Error>(
        _ send: ([UInt8]) throws(Failure) -> Bool
    ) throws(Failure) {
        while let bytes = refused ?? next() {
            refused = bytes
            guard try send(bytes) else { return }
            refused = nil
            sequence += 1
        }
    }

    private mutating func next() -> [UInt8]? {
        if let status = heartbeat {
            heartbeat = nil
            return serialize(.heartbeat(status))
        }
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
                case .token(let piece): piece.text.utf8.count + 6 * piece.ids.count
                case .error(let failure): failure.approximateBytes
                case .started(let started): 128 + started.model.utf8.count
                case .metrics, .end: 128
                }
            return envelope + reference.jobID.utf8.count + content
        }
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
