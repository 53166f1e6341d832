// Jobs and shorthands for the tests of the queue.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchQueue
import TestSupport

func job(
    _ id: String, prompt: Prompt = "Hello", tokens: Int = 4, deadline: UInt32? = nil,
    lease: UInt32? = nil, resume: [TokenID] = []
) -> GenerationJob {
    GenerationJob(
        id: id, prompt: prompt, maximumTokens: tokens, seed: 1, deadlineMilliseconds: deadline,
        leaseMilliseconds: lease, resumeIDs: resume)
}

func reference(_ id: String, _ attempt: UInt32 = 1) -> JobReference {
    JobReference(jobID: id, attempt: attempt)
}

let started = TokenEvent.started(
    .init(model: "m", startedAt: "", seed: 1, promptTokens: 1, queuedMilliseconds: 0))

func end(tokens: Int) -> TokenEvent {
    .end(
        .init(
            tokensOut: tokens, decodeTimeMilliseconds: 0, stopReason: .maximumTokens,
            promptTokens: 1, prefillMilliseconds: 0))
}

func token(_ text: String, _ ids: [TokenID], at index: Int) -> TokenEvent {
    .token(.init(text: text, ids: ids, index: index))
}

extension SplitMix {
    mutating func duration(milliseconds: ClosedRange<Int64>) -> Duration {
        .milliseconds(Int64.random(in: milliseconds, using: &self))
    }
}

extension Answer {
    /// The job event in it, if it is one.
    var event: TokenEvent? {
        if case .job(_, let event) = body { return event }
        return nil
    }

    var failure: JobFailure.Code? {
        if case .job(_, .error(let failure)) = body { return failure.code }
        if case .refusal(let failure) = body { return failure.code }
        return nil
    }

    var acceptance: WorkerEvent.Acceptance.State? {
        if case .accepted(_, let acceptance) = body { return acceptance.state }
        return nil
    }

    var reference: JobReference? {
        switch body {
        case .accepted(let reference, _), .job(let reference, _): reference
        case .heartbeat, .refusal, .bye: nil
        }
    }
}
