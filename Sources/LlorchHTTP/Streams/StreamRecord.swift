// What one client was given of its job, kept for a client that lost its connection and asks for the rest.
// How long, and of how many jobs: StreamTable.swift. Bytes still to be written: ResponseStream.swift.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol
import LlorchQueue

/// One job's events as its client has or should have them.
package struct StreamRecord: Sendable {
    /// As it was first submitted, with its seed.
    package let job: GenerationJob
    package private(set) var started: TokenEvent?
    private var tokens = TokenRecord()
    package private(set) var terminal: TokenEvent?

    package init(_ job: GenerationJob) {
        self.job = job
    }

    /// Token ids of all pieces.
    package var ids: [TokenID] { tokens.ids }

    /// All of it, in order; pieces as they came.
    package var events: [TokenEvent] {
        (started.map { [$0] } ?? []) + tokens.pieces.map(TokenEvent.token)
            + (terminal.map { [$0] } ?? [])
    }

    /// Memory it takes: the values themselves, and all texts of the request and of the events.
    package var bytes: Int {
        Self.fixedBytes + job.id.utf8.count + job.prompt.bytes
            + job.stopSequences.reduce(0) { $0 + $1.utf8.count }
            + tokens.bytes + (started?.textBytes ?? 0) + (terminal?.textBytes ?? 0)
    }

    /// The record and its place in a dictionary, with the headers of its texts.
    private static let fixedBytes = 512

    /// Whether a frame that ends behind this many tokens was or could have been sent.
    package func hasFrame(endingAt count: Int) -> Bool {
        count == 0 ? started != nil : tokens.hasEnd(at: count)
    }

    /// Whether a request asks for the same answer; a seed that it leaves open is the one chosen before.
    package func fits(_ request: GenerationJob) -> Bool {
        var other = request
        other.seed = other.seed ?? job.seed
        other.leaseMilliseconds = job.leaseMilliseconds
        other.deadlineMilliseconds = job.deadlineMilliseconds
        other.correlationID = job.correlationID
        return other == job
    }

    /// Adds what the dispatcher hands on; false for a piece that does not follow the last one.
    package mutating func append(_ event: TokenEvent) -> Bool {
        switch event {
        case .started: started = started ?? event
        case .token(let piece):
            guard piece.index == ids.count else { return false }
            tokens.append(piece)
        case .metrics: break
        case .end, .error:
            terminal = event
            tokens.close()
        }
        return true
    }
}

extension TokenEvent {
    /// UTF-8 bytes of the texts that this event holds.
    fileprivate var textBytes: Int {
        switch self {
        case .started(let started): started.model.utf8.count + started.startedAt.utf8.count
        case .token(let piece): piece.text.utf8.count
        case .metrics: 0
        case .end(let end): end.stopSequenceMatched?.utf8.count ?? 0
        case .error(let failure):
            failure.errors.reduce(failure.message.utf8.count) { sum, error in
                sum + error.field.utf8.count + error.constraint.utf8.count
                    + error.message.utf8.count + (error.value?.utf8.count ?? 0)
            }
        }
    }
}
