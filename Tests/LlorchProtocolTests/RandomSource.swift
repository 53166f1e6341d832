// Random values for properties; the same seed gives the same values on every machine.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol

/// SplitMix64 (https://prng.di.unimi.it/splitmix64.c).
struct RandomSource: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }

    /// Seeds for a parameterised test: some fixed, one new with every run.
    ///
    /// A failure names its seed.
    static let seeds: [UInt64] = [1, 2, 3, UInt64.random(in: 4 ... .max)]

    mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }
    mutating func flag() -> Bool { Bool.random(using: &self) }

    mutating func maybe<Value>(_ make: (inout Self) -> Value) -> Value? {
        flag() ? make(&self) : nil
    }

    /// Mostly ordinary, often at an edge of its type.
    mutating func integer<Value: FixedWidthInteger>(_: Value.Type = Value.self) -> Value {
        switch below(4) {
        case 0: Value.max &- Value(truncatingIfNeeded: below(2))
        case 1: Value.min &+ Value(truncatingIfNeeded: below(2))
        case 2: Value(truncatingIfNeeded: below(1000))
        default: Value(truncatingIfNeeded: next())
        }
    }

    /// What a counter on the wire may be.
    mutating func count() -> Int {
        flag() ? below(2000) : Int(next() >> 11)
    }

    /// Letters, escapes, controls, several planes; never U+0000, which the wire refuses.
    mutating func text(_ length: ClosedRange<Int> = 0...20) -> String {
        var text = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: length, using: &self) {
            let value =
                switch below(6) {
                case 0: UInt32(1 + below(0x1F))
                case 1: UInt32(0x22 + below(0x5E))
                case 2: UInt32(0x2020 + below(16))
                case 3: UInt32(0x300 + below(0x40))
                case 4: UInt32(1 + below(0x10FFFF))
                default: UInt32(0x61 + below(26))
                }
            text.append(Unicode.Scalar(value) ?? "\u{FFFD}")
        }
        return String(text)
    }

    mutating func json(depth: Int) -> JSONValue {
        switch below(depth > 0 ? 8 : 6) {
        case 0: return .null
        case 1: return .bool(flag())
        case 2: return .number(JSONNumber(integer(Int64.self)))
        case 3: return .number(JSONNumber(integer(UInt64.self)))
        case 4:
            let number = JSONNumber(Double(bitPattern: next()))
            return number.map(JSONValue.number) ?? .null
        case 5: return .string(text())
        case 6: return .array((0..<below(12)).map { _ in json(depth: depth - 1) })
        default:
            var object = JSONObject()
            for _ in 0..<below(20) {
                object.append(key: text(0...4), value: json(depth: depth - 1))
            }
            return .object(object)
        }
    }
}

extension RandomSource {
    mutating func reference() -> JobReference {
        JobReference(jobID: text(1...30), attempt: max(1, integer()))
    }

    mutating func job() -> GenerationJob {
        let maximumTokens = 1 + below(2048)
        let sampling = SamplingParameters(
            temperature: .random(in: 0...2, using: &self), topK: integer(),
            topP: .random(in: 0...1, using: &self), minP: .random(in: 0...1, using: &self),
            repetitionPenalty: .random(in: 0...2, using: &self))
        return GenerationJob(
            id: text(1...30), prompt: text(1...300), maximumTokens: maximumTokens,
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

    mutating func tokenEvent() -> TokenEvent {
        switch below(5) {
        case 0:
            .started(
                TokenEvent.Started(
                    model: text(), startedAt: text(), seed: integer(), promptTokens: count(),
                    queuedMilliseconds: count()))
        case 1:
            .token(
                TokenEvent.TokenPiece(
                    text: text(), ids: (0..<below(9)).map { _ in integer() }, index: count()))
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
                    prefillMilliseconds: count(), cachedTokens: count()))
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
                    memoryBytes: $0.integer())
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
