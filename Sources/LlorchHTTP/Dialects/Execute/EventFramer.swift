// The events of one job as frames of one response: pieces counted anew, `started` never missing.
// Without I/O. The bytes of a frame: ServerSentEvent.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchJSON
package import LlorchProtocol

/// Turns token events into server-sent events.
///
/// Over HTTP `i` counts pieces of text from 0 without a hole, where the queue counts token ids.
package struct EventFramer: Sendable {
    private let jobID: String
    private let seed: UInt64
    private var isStarted = false
    private var pieces = 0
    private var tokens = 0
    /// Tokens of frames that the client has from an earlier response.
    private let held: Int

    /// `lastEventID` is that of the last frame a client has that comes back: nothing up to it is framed.
    package init(jobID: String, seed: UInt64, lastEventID: Int? = nil) {
        self.jobID = jobID
        self.seed = seed
        held = lastEventID ?? 0
        isStarted = lastEventID != nil
    }

    /// The frames of an event; none for a piece without text, two for a failure before `started`.
    ///
    /// `waited` is in milliseconds since the request; `today` gives the time now, ISO 8601, where
    /// `started` has to be made here.
    package mutating func frames(
        for event: TokenEvent, waited: Int, today: () -> String
    ) -> [ServerSentEvent] {
        switch event {
        case .started(var started):
            guard !isStarted else { return [] }
            isStarted = true
            started.queuedMilliseconds = max(started.queuedMilliseconds, waited)
            return [frame(.started(started))]
        case .token(let piece):
            tokens += piece.ids.count
            guard !piece.text.isEmpty else { return [] }
            var counted = piece
            counted.index = pieces
            pieces += 1
            return tokens > held ? [frame(.token(counted))] : []
        case .metrics, .end:
            return [frame(event)]
        case .error:
            let started = TokenEvent.Started(
                model: "", startedAt: isStarted ? "" : today(), seed: seed, promptTokens: 0,
                queuedMilliseconds: waited)
            let missing = frames(for: .started(started), waited: waited, today: today)
            return missing + [frame(event)]
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
