// What one response with a stream still has to say. The queue's thread writes, the response reads.
// Who gets which event: StreamTable.swift; status and body: Dialects/JobRoute.swift.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol
import Synchronization

/// Names one response, also after it has gone.
package struct ReaderID: Sendable, Hashable {
    private let number: UInt64

    package init(_ number: UInt64) {
        self.number = number
    }
}

/// The bytes between the queue and one HTTP response, and the decision how the response begins.
package final class ResponseStream: Sendable {
    /// How the response begins; known before its first byte.
    package enum Opening: Sendable, Hashable {
        /// The response is a status and has no events.
        case refused(JobFailure)
        case open
    }

    /// The client went away, or reads too slowly.
    package struct Dropped: Error {}

    package struct Timing: Sendable, Hashable {
        /// A job still without an event opens its stream after this time, so that its client knows the job waits.
        package var patience = Duration.milliseconds(250)
        /// The same for a job that no worker has, and so none is about to refuse.
        package var queued = Duration.milliseconds(50)
        /// A stream is never silent for longer.
        package var ping = Duration.seconds(5)
        /// A client that reads nothing for this long, although there are bytes for it, is dropped.
        package var stall = Duration.seconds(30)
        /// The same for a client that leaves more than `maximumBytes` unread.
        package var excess = Duration.seconds(1)

        package init() {}
    }

    /// Bytes that a client may leave unread for `stall`; more than the longest answer of a GPT-2 context.
    package static let maximumBytes = 256 << 10

    private struct State {
        var framer: any StreamFramer
        var opening: Opening?
        var bytes: [UInt8] = []
        var isBeingWritten = false
        /// When the client last took something, or had nothing to take.
        var progressAt: Duration
        var pingAt: Duration
        var isComplete = false
        var isDropped = false
    }

    package let id: ReaderID
    private let timing: Timing
    private let submittedAt: Duration
    private let keepAlive: [UInt8]
    private let clock: @Sendable () -> Duration
    private let close: @Sendable () -> Void
    private let state: Mutex<State>
    private let signal: AsyncStream<Void>
    private let signalSource: AsyncStream<Void>.Continuation

    private static let made = Atomic<UInt64>(0)

    /// `clock` gives monotonic time; `close` ends the connection, and so a write that waits for the client.
    package init(
        framer: any StreamFramer, timing: Timing = Timing(),
        clock: @escaping @Sendable () -> Duration, close: @escaping @Sendable () -> Void = {}
    ) {
        id = ReaderID(Self.made.add(1, ordering: .relaxed).newValue)
        self.timing = timing
        self.close = close
        self.clock = clock
        keepAlive = framer.keepAlive
        submittedAt = clock()
        state = Mutex(
            State(
                framer: framer, progressAt: submittedAt, pingAt: submittedAt + timing.patience))
        // One signal is enough: it is answered by taking all bytes.
        (signal, signalSource) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    // MARK: - The queue's thread

    /// Adds an event; nothing is taken after the terminal one.
    package func deliver(_ event: TokenEvent) {
        let now = clock()
        change { state in
            if state.opening == nil {
                if case .error(let failure) = event, failure.code != .cancelled {
                    state.opening = .refused(failure)
                    state.isComplete = true
                    return
                }
                state.opening = .open
            }
            let bytes = state.framer.bytes(for: event, waited: now - submittedAt)
            if !bytes.isEmpty { append(bytes, to: &state, now: now) }
            state.isComplete = event.isTerminal
        }
    }

    /// Refuses the job, or ends the stream with this failure where it is open.
    package func refuse(_ failure: JobFailure) {
        deliver(.error(failure))
    }

    /// Opens a stream that has waited long enough, and fills silence with a comment.
    package func pingIfDue() {
        let now = clock()
        let isDue = state.withLock { $0.pingAt <= now && $0.bytes.isEmpty && !$0.isComplete }
        guard isDue else { return }
        change { state in
            state.opening = state.opening ?? .open
            append(keepAlive, to: &state, now: now)
        }
    }

    /// Lets the stream open sooner: no worker has the job yet, so no worker is about to refuse it.
    package func openSoon() {
        state.withLock { state in
            guard state.opening == nil else { return }
            state.pingAt = min(state.pingAt, submittedAt + timing.queued)
        }
    }

    /// Bytes that the client has not taken.
    package var pendingBytes: Int { state.withLock { $0.bytes.count } }

    /// Whether the client has left bytes unread for too long.
    package var isStalled: Bool {
        let now = clock()
        return state.withLock { state in
            guard state.isBeingWritten || !state.bytes.isEmpty else { return false }
            let patience = state.bytes.count > Self.maximumBytes ? timing.excess : timing.stall
            return now - state.progressAt >= patience
        }
    }

    package var isDropped: Bool { state.withLock { $0.isDropped } }

    /// Whether the response is complete and its client has taken all of it.
    package var isTaken: Bool {
        state.withLock { $0.isComplete && $0.bytes.isEmpty && !$0.isBeingWritten }
    }

    // MARK: - Any thread

    /// Says no more before the response is complete; by default this closes the connection.
    package func drop(closingConnection: Bool = true) {
        let isFirst = state.withLock { state in
            defer {
                state.isDropped = true
                state.isComplete = true
                state.isBeingWritten = false
                state.bytes = []
            }
            return !state.isDropped
        }
        guard isFirst else { return }
        signalSource.finish()
        if closingConnection { close() }
    }

    // MARK: - The response

    /// Waits until it is known how the response begins.
    package func opening() async throws -> Opening {
        while true {
            let (opening, isDropped) = state.withLock { ($0.opening, $0.isDropped) }
            if isDropped { throw Dropped() }
            if let opening { return opening }
            try await waitForSignal()
        }
    }

    /// All bytes that can be written now, nil after the terminal event; waits while there are none.
    package func next() async throws -> [UInt8]? {
        while true {
            let now = clock()
            let (bytes, isComplete, isDropped) = state.withLock { state in
                let bytes = state.bytes
                state.bytes = []
                state.isBeingWritten = !bytes.isEmpty
                state.progressAt = now
                return (bytes, state.isComplete, state.isDropped)
            }
            if isDropped { throw Dropped() }
            if !bytes.isEmpty { return bytes }
            if isComplete { return nil }
            try await waitForSignal()
        }
    }

    // MARK: - Pieces

    private func append(_ bytes: [UInt8], to state: inout State, now: Duration) {
        if state.bytes.isEmpty, !state.isBeingWritten { state.progressAt = now }
        state.bytes.append(contentsOf: bytes)
        state.pingAt = now + timing.ping
    }

    private func change(_ body: (inout State) -> Void) {
        let isComplete = state.withLock { state in
            if !state.isComplete { body(&state) }
            return state.isComplete
        }
        signalSource.yield()
        if isComplete { signalSource.finish() }
    }

    /// Returns at a signal or at the end of signals; throws if the waiting task is cancelled.
    private func waitForSignal() async throws {
        for await _ in signal { return }
        try Task.checkCancellation()
    }
}
