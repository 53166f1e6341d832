// Random jobs, events and messages, for properties of the wire format.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import TestSupport

extension RandomSource {
    mutating func reference() -> JobReference {
        JobReference(jobID: text(1...30), attempt: max(1, integer()))
    }

    mutating func job() -> GenerationJob {
        let echo = flag()
        let maximumTokens = (echo ? 0 : 1) + below(2048)
        let isText = flag()
        let sampling = SamplingParameters(
            temperature: .random(in: 0...2, using: &self), topK: integer(),
            topP: .random(in: 0...1, using: &self), minP: .random(in: 0...1, using: &self),
            repetitionPenalty: .random(in: 0...2, using: &self))
        return GenerationJob(
            id: text(1...30),
            prompt: isText
                ? .text(text(1...300)) : .ids((0..<1 + below(40)).map { _ in integer() }),
            specialTokens: isText && flag(), echo: echo, maximumTokens: maximumTokens,
            logProbabilities: maybe { $0.below(11) },
            sampling: flag() ? sampling ?? .default : .default,
            stopSequences: (0..<below(5)).map { _ in text(1...25) },
            seed: maybe { $0.integer() }, deadlineMilliseconds: maybe { $0.integer() },
            leaseMilliseconds: maybe { max(1, $0.integer()) },
            resumeIDs: (0..<below(min(40, maximumTokens + 1))).map { _ in integer() },
            correlationID: maybe { "c-\($0.below(1_000_000))" })
    }

    mutating func dispatcherMessage() -> DispatcherMessage {
        switch below(6) {
        case 0: .cancel(reference())
        case 1: .acknowledge(reference())
        case 2: .drain
        case 3: .ping(jobID: maybe { $0.text(1...30) })
        default: .job(job(), attempt: max(1, integer()))
        }
    }

    mutating func failure() -> JobFailure {
        JobFailure(
            JobFailure.Code.allCases.randomElement(using: &self) ?? .internal, text(),
            retriable: maybe { $0.flag() },
            errors: (0..<below(4)).map { _ in
                FieldError(
                    field: text(), constraint: text(), message: text(), value: maybe { $0.text() })
            })
    }

    mutating func logProbability(of id: TokenID) -> TokenLogProbability {
        TokenLogProbability(
            id: id, bytes: bytes(),
            logProbability: maybe { -.random(in: 0...1e3, using: &$0) },
            top: (0..<below(11)).map { _ in
                TokenLogProbability.Alternative(
                    id: integer(), bytes: bytes(),
                    logProbability: -.random(in: 0...1e3, using: &self))
            })
    }

    private mutating func bytes() -> [UInt8] { (0..<below(9)).map { _ in integer() } }

    private mutating func piece() -> TokenEvent.TokenPiece {
        let ids: [TokenID] = (0..<below(9)).map { _ in integer() }
        return TokenEvent.TokenPiece(
            text: text(), ids: ids, index: count(),
            logProbabilities: flag() ? ids.map { logProbability(of: $0) } : [])
    }

    mutating func tokenEvent() -> TokenEvent {
        switch below(5) {
        case 0:
            .started(
                TokenEvent.Started(
                    model: text(), startedAt: text(), seed: integer(), promptTokens: count(),
                    queuedMilliseconds: count()))
        case 1: .token(piece())
        case 2:
            .metrics(
                TokenEvent.Metrics(
                    tokensOut: count(), decodeTimeMilliseconds: count(),
                    tokensPerSecond: .random(in: 0...1e9, using: &self), vramBytes: integer()))
        case 3:
            .end(
                TokenEvent.End(
                    tokensOut: count(), decodeTimeMilliseconds: count(),
                    stopReason: StopReason.allCases.randomElement(using: &self) ?? .endOfText,
                    stopSequenceMatched: maybe { $0.text() }, promptTokens: count(),
                    prefillMilliseconds: count(), cachedTokens: count(),
                    endMark: maybe { $0.logProbability(of: $0.integer()) }))
        default: .error(failure())
        }
    }

    mutating func status() -> WorkerStatus {
        WorkerStatus(
            state: WorkerStatus.State.allCases.randomElement(using: &self) ?? .idle,
            jobs: text(), control: text(), running: maybe { $0.text() }, queued: count(),
            free: count(),
            model: maybe {
                ModelFacts(
                    name: $0.text(), digest: $0.text(), precision: $0.text(),
                    contextLength: $0.count(), vocabularySize: $0.count(),
                    memoryBytes: $0.integer(), tokenizerKind: $0.maybe { $0.text() })
            }, loadProgress: maybe { .random(in: 0...1, using: &$0) },
            crashedOn: maybe { $0.text() }, outboxBytes: maybe { $0.count() },
            malformed: maybe { $0.count() })
    }

    mutating func workerEvent() -> WorkerEvent {
        let state = WorkerEvent.Acceptance.State.allCases.randomElement(using: &self) ?? .queued
        let body: WorkerEvent.Body =
            switch below(8) {
            case 0: .heartbeat(status())
            case 1:
                .accepted(
                    reference(),
                    WorkerEvent.Acceptance(state: state, position: count(), free: count()))
            case 2: .refusal(failure())
            case 3: .bye(reason: text())
            default: .job(reference(), tokenEvent())
            }
        return WorkerEvent(
            worker: text(1...9), boot: integer(), sequence: integer(), body: body)
    }
}
