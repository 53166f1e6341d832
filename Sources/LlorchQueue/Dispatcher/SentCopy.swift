// What a worker has of a job: the newest copy, what the worker said of it, and when to ask again.
// Which job that is, and what its client has: DispatchedJob.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

/// A copy of a job that was sent to a worker; rule 2 sends it again while there is no news.
struct SentCopy {
    /// What the worker last said about the current attempt.
    enum Stage {
        case sent
        case accepted
        case running
    }

    /// Why a copy is sent.
    enum Reason {
        /// A worker was free: the copy begins an attempt.
        case assignment
        /// Nothing was heard of the job for long.
        case quiet
        /// An event of the job is missing.
        case gap
    }

    let worker: String
    private(set) var stage = Stage.sent
    /// Of the newest copy.
    private(set) var reason = Reason.assignment
    /// When the newest copy was sent.
    private(set) var sentAt: Duration
    /// When to send the next copy, and why.
    private(set) var question: (at: Duration, reason: Reason)
    /// Copies sent since the worker last said something of the job.
    private(set) var unanswered = 1

    init(to worker: String, now: Duration, _ configuration: Dispatcher.Configuration) {
        self.worker = worker
        sentAt = now
        question = (now + configuration.quiet, .quiet)
    }

    /// The question was asked: another copy was sent.
    mutating func ask(now: Duration, _ configuration: Dispatcher.Configuration) {
        unanswered += 1
        reason = question.reason
        sentAt = now
        question = (now + configuration.quiet, .quiet)
    }

    /// The copy did not leave.
    mutating func takeBackQuestion(now: Duration, _ configuration: Dispatcher.Configuration) {
        unanswered = max(0, unanswered - 1)
        question = (now + configuration.cancelInterval, .quiet)
    }

    /// An event is missing: asks now, but not more often than cancels are sent.
    mutating func askSoon(now: Duration, _ configuration: Dispatcher.Configuration) {
        let earliest = max(now, sentAt + configuration.cancelInterval)
        question = (min(question.at, earliest), .gap)
    }

    /// The attempt has another number now, which the worker has not answered yet.
    mutating func relabel() {
        unanswered = 0
    }

    /// News of the current attempt.
    mutating func hear(
        _ state: WorkerEvent.Acceptance.State, now: Duration,
        _ configuration: Dispatcher.Configuration
    ) {
        switch (state, stage) {
        case (.queued, .sent): stage = .accepted
        case (.running, _): stage = .running
        default: break
        }
        unanswered = 0
        if question.reason == .quiet { question.at = now + configuration.quiet }
    }
}
