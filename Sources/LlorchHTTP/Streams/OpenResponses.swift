// The responses that a StreamTable's readers stand for, and the watch over clients that do not read.
// Confined to the queue's thread.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol

/// Responses that wait for events, or for their client to take the last ones.
package struct OpenResponses {
    /// Bytes that all clients together may leave unread.
    package static let maximumBytes = 128 << 20

    private let maximumBytes: Int
    private var waiting: [ReaderID: ResponseStream] = [:]
    /// Had their terminal event, but have not taken it.
    private var leaving: [ReaderID: ResponseStream] = [:]

    package init(maximumBytes: Int = OpenResponses.maximumBytes) {
        self.maximumBytes = maximumBytes
    }

    /// Whether no response waits for an event or has one to take.
    package var isEmpty: Bool { waiting.isEmpty && leaving.isEmpty }

    package mutating func add(_ stream: ResponseStream) {
        waiting[stream.id] = stream
    }

    package mutating func deliver(_ event: TokenEvent, to reader: ReaderID) {
        guard let stream = waiting[reader] else { return }
        stream.deliver(event)
        if event.isTerminal { leaving[reader] = waiting.removeValue(forKey: reader) }
    }

    package func openSoon(_ reader: ReaderID) {
        waiting[reader]?.openSoon()
    }

    /// Closes the connection of a response.
    package mutating func drop(_ reader: ReaderID) {
        remove(reader)?.drop()
    }

    /// Forgets a response whose client has gone.
    @discardableResult
    package mutating func remove(_ reader: ReaderID) -> ResponseStream? {
        waiting.removeValue(forKey: reader) ?? leaving.removeValue(forKey: reader)
    }

    /// Sends these readers the comments that are due, drops clients that do not read, and returns those of
    /// the readers whose clients are gone.
    package mutating func tick(reading readers: some Sequence<ReaderID>) -> [ReaderID] {
        var total = 0
        leaving = leaving.filter { !$0.value.isTaken }
        for stream in leaving.values { dropIfTooSlow(stream, &total) }
        var gone: [ReaderID] = []
        for reader in readers {
            guard let stream = waiting[reader] else { continue }
            stream.pingIfDue()
            dropIfTooSlow(stream, &total)
            if stream.isDropped {
                waiting[reader] = nil
                gone.append(reader)
            }
        }
        return gone
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
