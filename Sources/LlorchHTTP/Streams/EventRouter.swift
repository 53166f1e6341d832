// Job id to the response that waits for it. Confined to the queue's thread (QueueLoop.swift).
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

/// The responses that wait for events.
package struct EventRouter {
    /// Bytes that all clients together may leave unread.
    package static let maximumBytes = 128 << 20

    private let maximumBytes: Int
    private var streams: [String: ResponseStream] = [:]
    /// Had their terminal event, but have not taken it.
    private var leaving: [ResponseStream] = []
    /// Events that no response waited for: of clients that left, or after a terminal one.
    package private(set) var unclaimed = 0

    package init(maximumBytes: Int = EventRouter.maximumBytes) {
        self.maximumBytes = maximumBytes
    }

    /// Whether no response waits for an event or has one to take.
    package var isEmpty: Bool { streams.isEmpty && leaving.isEmpty }
    package var count: Int { streams.count }
    package func isWaiting(_ jobID: String) -> Bool { streams[jobID] != nil }
    package var jobIDs: [String] { Array(streams.keys) }

    package mutating func add(_ stream: ResponseStream, for jobID: String) {
        precondition(streams[jobID] == nil, "two responses wait for job \(jobID)")
        streams[jobID] = stream
    }

    package mutating func deliver(_ event: TokenEvent, to jobID: String) {
        guard let stream = streams[jobID] else {
            unclaimed += 1
            return
        }
        stream.deliver(event)
        if event.isTerminal {
            streams[jobID] = nil
            leaving.append(stream)
        }
    }

    /// The response that waits under this id, which then no longer does.
    package mutating func release(_ jobID: String) -> ResponseStream? {
        streams.removeValue(forKey: jobID)
    }

    /// Watches over a response that has all its events.
    package mutating func addEnded(_ stream: ResponseStream) {
        leaving.append(stream)
    }

    /// Forgets a response; false where another one, or none, waits under this id.
    package mutating func remove(_ stream: ResponseStream, for jobID: String) -> Bool {
        guard streams[jobID] === stream else { return false }
        streams[jobID] = nil
        return true
    }

    /// Ends every response with this failure.
    package mutating func failAll(_ failure: JobFailure) {
        for jobID in jobIDs { deliver(.error(failure), to: jobID) }
    }

    /// Sends the comments that are due; drops clients that do not read, and returns their jobs.
    package mutating func tick() -> [String] {
        var total = 0
        leaving = leaving.filter { !$0.isTaken }
        for stream in leaving { dropIfTooSlow(stream, &total) }
        var dropped: [String] = []
        for (jobID, stream) in streams {
            stream.pingIfDue()
            dropIfTooSlow(stream, &total)
            if stream.isDropped {
                streams[jobID] = nil
                dropped.append(jobID)
            }
        }
        return dropped
    }

    /// `total` counts the bytes of those that stay.
    private func dropIfTooSlow(_ stream: ResponseStream, _ total: inout Int) {
        let pending = stream.pendingBytes
        if stream.isStalled || pending > 0 && total + pending > maximumBytes {
            stream.drop()
        } else {
            total += pending
        }
    }
}
