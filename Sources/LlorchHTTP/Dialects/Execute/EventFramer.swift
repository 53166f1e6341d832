// The events of one job as frames of one response: pieces counted anew, `started` never missing.
// Without I/O. The bytes of a frame: ServerSentEvent.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON
package import LlorchProtocol
import LlorchSystem

/// Turns token events into server-sent events.
///
/// Over HTTP `i` counts pieces of text from 0 without a hole, where the queue counts token ids.
package struct EventFramer: StreamFramer {
    private let jobID: String
    private let seed: UInt64
    private let timeOfDay: @Sendable () -> String
    private var isStarted = false
    private var pieces = 0
    private var tokens = 0
    /// Tokens of frames that the client has from an earlier response.
    private let held: Int

    /// Makes the frames of one response.
    ///
    /// `lastEventID` is the id of the last frame that a returning client has: nothing up to that frame is
    /// framed. `timeOfDay` gives the time now, ISO 8601 in UTC, for a `started` that has to be made here.
    package init(
        jobID: String, seed: UInt64, lastEventID: Int? = nil,
        timeOfDay: @escaping @Sendable () -> String
    ) {
        self.jobID = jobID
        self.seed = seed
        self.timeOfDay = timeOfDay
        held = lastEventID ?? 0
        isStarted = lastEventID != nil
    }

    package var keepAlive: [UInt8] { ServerSentEvent.ping }

    package mutating func bytes(for event: TokenEvent, waited: Duration) -> [UInt8] {
        frames(for: event, waited: waited).flatMap { $0.serialized() }
    }

    /// The frames of an event; none for a piece that has neither text nor log-probabilities, two for a failure
    /// before `started`.
    ///
    /// `waited` is the time since the request.
    package mutating func frames(for event: TokenEvent, waited: Duration) -> [ServerSentEvent] {
        let waited = Int(clamping: waited.wholeMilliseconds)
        switch event {
        case .started(var started):
            guard !isStarted else { return [] }
            isStarted = true
            started.queuedMilliseconds = max(started.queuedMilliseconds, waited)
            return [frame(.started(started))]
        case .token(let piece):
            tokens += piece.ids.count
            guard !piece.text.isEmpty || !piece.logProbabilities.isEmpty else { return [] }
            var counted = piece
            counted.index = pieces
            pieces += 1
            return tokens > held ? [frame(.token(counted))] : []
        case .metrics, .end:
            return [frame(event)]
        case .error:
            if isStarted { return [frame(event)] }
            isStarted = true
            let started = TokenEvent.Started(
                model: "", startedAt: timeOfDay(), seed: seed, promptTokens: 0,
                queuedMilliseconds: waited)
            return [frame(.started(started)), frame(event)]
        }
    }

    private func frame(_ event: TokenEvent) -> ServerSentEvent {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("type", event.wireType)
        switch event {
        case .started, .metrics: writer.member("job_id", jobID)
        case .token, .end, .error: break
        }
        event.writeMembers(to: &writer)
        writer.endObject()
        return ServerSentEvent(name: event.wireType, id: tokens, data: writer.bytes)
    }
}
