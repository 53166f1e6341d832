// What one client was given, and what was promised to it: one end, and the oracle's tokens in order.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

/// The stream of one job, judged as it comes.
struct ClientRecord {
    let id: String
    let tokens: Int
    var deadlineAt: Duration?
    /// A worker that is to compute this token dies.
    var poisonAt: Int?
    var isCancelled = false
    /// Processes that were killed, or frozen for longer than the silence allowed, after they had seen it.
    var deaths = 0
    /// Processes that left in order after they had seen it: their last words may have been lost.
    var exits = 0
    /// Processes that the job killed.
    var kills = 0
    var executions = 0
    var attempts = 0
    private(set) var ids: [TokenID] = []
    private(set) var isStarted = false
    private(set) var outcome: TokenEvent?
    /// The models that would have given these tokens; both, while there are none.
    private var models: Set<UInt32> = [0, 1]

    /// Times that it was cancelled and sent again.
    private(set) var returns = 0

    var isEnded: Bool { outcome != nil }
    var wasCancelled: Bool {
        if case .error(let failure)? = outcome { return failure.code == .cancelled }
        return false
    }

    init(id: String, tokens: Int) {
        self.id = id
        self.tokens = tokens
    }

    /// The client comes back: the tokens it has stay, and it asks for the rest.
    mutating func comeBack() {
        returns += 1
        outcome = nil
        isStarted = false
        isCancelled = false
        deadlineAt = nil
    }

    /// Takes the next event; returns what is wrong with it.
    mutating func take(_ event: TokenEvent, now: Duration) -> String? {
        if let outcome { return "\(id): \(event) after \(outcome)" }
        if let deadlineAt, now > deadlineAt + .milliseconds(1_100) {
            return "\(id): its deadline was not kept"
        }
        switch event {
        case .started:
            defer { isStarted = true }
            return isStarted ? "\(id): a second start" : nil
        case .token(let piece):
            return take(piece)
        case .metrics:
            return isStarted ? nil : "\(id): \(event) before its start"
        case .end(let end):
            outcome = event
            guard isStarted, end.tokensOut == tokens, ids.count == tokens, poisonAt == nil else {
                return "\(id): \(event) after \(ids.count) of \(tokens) tokens"
            }
            return nil
        case .error(let failure):
            outcome = event
            return isDue(failure, now: now) ? nil : "\(id): \(failure), \(deaths) deaths"
        }
    }

    private mutating func take(_ piece: TokenEvent.TokenPiece) -> String? {
        guard isStarted, piece.index == ids.count, !piece.ids.isEmpty else {
            return "\(id): a piece at \(piece.index), \(ids.count) ids are held"
        }
        guard piece.text == piece.ids.map({ "\($0) " }).joined() else {
            return "\(id): ids and text do not fit: \(piece)"
        }
        for token in piece.ids {
            let place = ids.count
            models = models.filter { Oracle(model: $0, jobID: id).id(place) == token }
            ids.append(token)
        }
        return models.isEmpty ? "\(id): no model answers with \(ids)" : nil
    }

    private func isDue(_ failure: JobFailure, now: Duration) -> Bool {
        switch failure.code {
        case .cancelled: isCancelled
        case .inferenceTimeout: deadlineAt.map { $0 <= now } ?? false
        case .poison: deaths >= 2
        default: false
        }
    }
}
