// Messages of the queue: what each looks like, what is refused and with which code.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import TestSupport
import Testing

private func message(_ text: String) throws(WireError) -> DispatcherMessage {
    try DispatcherMessage(parsing: Array(text.utf8))
}

private func refused(_ text: String) throws -> WireError {
    try #require(throws: WireError.self) { try message(text) }
}

private func event(_ text: String) throws(WireError) -> WorkerEvent {
    try WorkerEvent(parsing: Array(text.utf8))
}

@Suite("Dispatcher messages") struct DispatcherMessageTests {
    @Test("each type parses")
    func types() throws {
        let reference = JobReference(jobID: "a1", attempt: 1)
        #expect(
            try message(
                #"{"v":1,"type":"job","job_id":"a1","attempt":1,"prompt":"Hello","max_tokens":16}"#)
                == .job(GenerationJob(id: "a1", prompt: "Hello", maximumTokens: 16), attempt: 1))
        #expect(
            try message(#"{"v":1,"type":"cancel","job_id":"a1","attempt":1}"#)
                == .cancel(reference))
        #expect(
            try message(#"{"v":1,"type":"ack","job_id":"a1","attempt":1}"#)
                == .acknowledge(reference))
        #expect(try message(#"{"v":1,"type":"drain"}"#) == .drain)
        #expect(try message(#"{"v":1,"type":"ping"}"#) == .ping(jobID: nil))
        #expect(try message(#"{"v":1,"type":"ping","job_id":"a"}"#) == .ping(jobID: "a"))
        #expect(try message(#"{"v":1,"type":"ping","x_sent":[1]}"#) == .ping(jobID: nil))
    }

    @Test("the fields only the queue has")
    func queueFields() throws {
        let parsed = try message(
            #"{"v":1,"type":"job","job_id":"a","attempt":4294967295,"prompt":"p","deadline_ms":0,"#
                + #""lease_ms":15000,"resume_ids":[0,50256],"correlation_id":"test-123"}"#)
        #expect(
            parsed
                == .job(
                    GenerationJob(
                        id: "a", prompt: "p", deadlineMilliseconds: 0, leaseMilliseconds: 15_000,
                        resumeIDs: [0, 50_256], correlationID: "test-123"), attempt: .max))
    }

    @Test(
        "bad fields of a job are INVALID_REQUEST for that job",
        arguments: [
            (#""prompt":"p","max_tokens":0"#, "max_tokens", WireError.Kind.invalid),
            (#""prompt":"""#, "prompt", .invalid),
            (#""prompt":"p","lease_ms":0"#, "lease_ms", .invalid),
            (#""prompt":"p","max_tokens":1,"resume_ids":[1,2]"#, "resume_ids", .invalid),
            (#""prompt":"p","correlation_id":"""#, "correlation_id", .invalid),
            (#""prompt":"p","correlation_id":"a b""#, "correlation_id", .invalid),
            (#""prompt":"p","correlation_id":"é""#, "correlation_id", .invalid),
            (#""max_tokens":1"#, "prompt", .schema), (#""prompt":7"#, "prompt", .schema),
            (#""prompt":"p","max_token":1"#, "max_token", .schema),
            (#""prompt":"p","X_trace":1"#, "X_trace", .schema),
            (#""prompt":"p","a b":1"#, "(not a name)", .schema),
            (#""prompt":"p","deadline_ms":-1"#, "deadline_ms", .schema),
            (#""prompt":null"#, "prompt", .schema),
            (#""prompt":"p","resume_ids":[4294967296]"#, "resume_ids", .schema),
            (#""prompt":"p","resume_ids":["1"]"#, "resume_ids", .schema),
        ])
    func badJob(_ members: String, _ field: String, _ kind: WireError.Kind) throws {
        let error = try refused(#"{"v":1,"type":"job","job_id":"a","attempt":3,\#(members)}"#)
        #expect(error.kind == kind)
        #expect(error.failure.code == .invalidRequest)
        #expect(!error.failure.retriable)
        #expect(error.failure.errors.map(\.field) == [field])
        #expect(error.job == JobReference(jobID: "a", attempt: 3))
    }

    @Test("too many resume ids are counted, not listed")
    func resumeIDs() throws {
        let ids = Array(repeating: "1", count: 2049).joined(separator: ",")
        let error = try refused(
            #"{"v":1,"type":"job","job_id":"a","attempt":1,"prompt":"p","resume_ids":[\#(ids)]}"#)
        #expect(error.failure.errors.first?.constraint == "max_count(2048)")
        #expect(error.failure.errors.first?.value == "2049")
    }

    @Test("a job is named in its error as far as it could be read")
    func reference() throws {
        let noAttempt = try refused(#"{"v":1,"type":"job","job_id":"a","prompt":"p"}"#)
        #expect(noAttempt.job == JobReference(jobID: "a", attempt: 0))
        #expect(noAttempt.failure.errors.map(\.field) == ["attempt"])
        let zero = try refused(#"{"v":1,"type":"job","job_id":"a","attempt":0,"prompt":"p"}"#)
        #expect(zero.job == JobReference(jobID: "a", attempt: 0))
        #expect(try refused(#"{"v":1,"type":"job","attempt":1,"prompt":"p"}"#).job == nil)
        let long = String(repeating: "x", count: 2049)
        #expect(
            try refused(#"{"v":1,"type":"job","attempt":1,"prompt":"p","job_id":"\#(long)"}"#).job
                == nil)
    }

    @Test("another version is UNSUPPORTED_VERSION", arguments: ["2", "0", "1.0", "\"1\"", "null"])
    func version(_ version: String) throws {
        let error = try refused(#"{"v":\#(version),"type":"job","job_id":"a","attempt":2,"y":0}"#)
        #expect(error.kind == .unsupportedVersion)
        #expect(error.failure.code == .unsupportedVersion)
        #expect(error.job == JobReference(jobID: "a", attempt: 2))
        #expect(
            try refused(#"{"v":\#(version),"type":"cancel","job_id":"a","attempt":2}"#).job == nil)
    }

    @Test(
        "what is no message is MALFORMED and answers no job",
        arguments: [
            ("", WireError.Kind.syntax), ("{", .syntax), ("\u{0}", .syntax), ("[]", .schema),
            ("{}", .schema), (#"{"type":"drain"}"#, .schema), (#"{"v":1}"#, .schema),
            (#"{"v":1,"type":7}"#, .schema), (#"{"v":1,"type":"JOB"}"#, .schema),
            (#"{"v":1,"type":"job","type":"job","job_id":"a","attempt":1}"#, .schema),
            (#"{"v":1,"type":"cancel","job_id":"a"}"#, .schema),
            (#"{"v":1,"type":"cancel","job_id":"a","attempt":0}"#, .schema),
            (#"{"v":1,"type":"cancel","job_id":"a","attempt":1,"why":1}"#, .schema),
            (#"{"v":1,"type":"ack","job_id":1,"attempt":1}"#, .schema),
            (#"{"v":1,"type":"drain","job_id":"a"}"#, .schema),
            (#"{"v":1,"type":"ping","job_id":1}"#, .schema),
            (#"{"v":1,"type":"cancel","job_id":"a","attempt":null}"#, .schema),
        ])
    func malformed(_ text: String, _ kind: WireError.Kind) throws {
        let error = try refused(text)
        #expect(error.kind == kind)
        #expect(error.failure.code == .malformed)
        #expect(error.job == nil)
    }

    @Test("a message over 1 MiB is refused unread")
    func tooLarge() throws {
        let error = try refused(String(repeating: " ", count: 1 << 20) + "1")
        #expect(error.kind == .tooLarge)
        #expect(error.failure.code == .malformed)
    }

    @Test("the largest valid job fits a message, the longest cancel a control message")
    func sizes() throws {
        let id = String(repeating: "\u{1}", count: JobValidation.jobIDBytes)
        var job = GenerationJob(
            id: id, prompt: .text(String(repeating: "\u{1}", count: 32_768)),
            stopSequences: Array(repeating: String(repeating: "\u{1}", count: 100), count: 4),
            seed: .max, deadlineMilliseconds: .max, leaseMilliseconds: .max,
            resumeIDs: Array(repeating: .max, count: 2048),
            correlationID: String(repeating: "a", count: 64))
        let largest = DispatcherMessage.job(job, attempt: .max)
        #expect(largest.serialized().count < 1 << 20)
        #expect(try DispatcherMessage(parsing: largest.serialized()) == largest)
        job.prompt = .ids(Array(repeating: .max, count: 16_384))
        job.echo = true
        job.logProbabilities = 10
        job.resumeIDs = Array(repeating: .max, count: 16_384 + 2_048)
        let longest = DispatcherMessage.job(job, attempt: .max)
        #expect(longest.serialized().count < 1 << 20)
        #expect(try DispatcherMessage(parsing: longest.serialized()) == longest)
        let cancel = DispatcherMessage.cancel(JobReference(jobID: id, attempt: .max))
        #expect(cancel.serialized().count < 16_384)
    }
}

@Suite("Worker events") struct WorkerEventTests {
    @Test("spelling is the protocol's")
    func spelling() {
        let status = WorkerStatus(
            state: .idle, jobs: "tcp://127.0.0.1:5601", control: "tcp://127.0.0.1:5602", free: 9,
            model: ModelFacts(
                name: "m", digest: "d", precision: "q8", contextLength: 1024,
                vocabularySize: 50_257, memoryBytes: 7))
        let event = WorkerEvent(worker: "w1", boot: 5, sequence: 0, body: .heartbeat(status))
        #expect(
            String(decoding: event.serialized(), as: UTF8.self)
                == #"{"v":1,"type":"heartbeat","worker":"w1","boot":5,"seq":0,"state":"idle","#
                + #""jobs":"tcp://127.0.0.1:5601","control":"tcp://127.0.0.1:5602","running":null,"#
                + #""queued":0,"free":9,"model":{"name":"m","digest":"d","precision":"q8","#
                + #""context_length":1024,"vocabulary_size":50257,"memory_bytes":7}}"#)
    }

    @Test("a heartbeat may say what is left unsent and was refused, in counts or not at all")
    func losses() throws {
        func status(_ members: String) throws(WireError) -> WorkerStatus? {
            let parsed = try event(
                #"{"v":1,"type":"heartbeat","worker":"w","boot":1,"seq":0,"state":"idle","jobs":"j","#
                    + #""control":"c","queued":0,"free":1\#(members)}"#)
            guard case .heartbeat(let status) = parsed.body else { return nil }
            return status
        }
        let full = try #require(try status(#","outbox_bytes":16777216,"malformed":3"#))
        #expect(full.outboxBytes == 16_777_216 && full.malformed == 3)
        for members in ["", #","outbox_bytes":null,"malformed":null"#] {
            let silent = try #require(try status(members))
            #expect(silent.outboxBytes == nil && silent.malformed == nil)
        }
        for value in ["-1", "0.5", "\"1\"", "9007199254740992"] {
            for name in ["outbox_bytes", "malformed"] {
                #expect(throws: WireError.self) { try status(#","\#(name)":\#(value)"#) }
            }
        }
    }

    @Test("unknown members, null for absent and a missing optional are fine")
    func lenient() throws {
        let parsed = try event(
            #"{"v":1,"type":"end","worker":"w","boot":1,"seq":2,"job_id":"a","attempt":1,"#
                + #""tokens_out":3,"decode_time_ms":4,"stop_reason":"EOS","new":{"a":[1]},"#
                + #""stop_sequence_matched":null,"cached_tokens":null,"prompt_tokens":5,"prefill_ms":6}"#
        )
        let end = TokenEvent.End(
            tokensOut: 3, decodeTimeMilliseconds: 4, stopReason: .endOfText, promptTokens: 5,
            prefillMilliseconds: 6)
        #expect(
            parsed.body == .job(JobReference(jobID: "a", attempt: 1), .end(end)))
    }

    @Test("null is a member that was not given")
    func nullMembers() throws {
        let job = #"{"v":1,"type":"job","job_id":"a","attempt":1,"prompt":"p""#
        let members = [
            "max_tokens", "temperature", "seed", "top_p", "top_k", "repetition_penalty", "stop",
            "min_p", "deadline_ms", "lease_ms", "resume_ids", "correlation_id",
        ]
        let all = members.map { #","\#($0)":null"# }.joined()
        #expect(
            try DispatcherMessage(parsing: Array((job + all + "}").utf8))
                == DispatcherMessage(parsing: Array((job + "}").utf8)))
        #expect(
            try DispatcherMessage(parsing: Array(#"{"v":1,"type":"ping","job_id":null}"#.utf8))
                == .ping(jobID: nil))
    }

    @Test("U+0000 is a character like any other, as an escape")
    func nul() throws {
        let token = #","worker":"w","boot":1,"seq":1,"job_id":"a","attempt":1,"ids":[188],"i":0}"#
        #expect(throws: Never.self) { try event(#"{"v":1,"type":"token","t":"\u0000""# + token) }
        #expect(throws: WireError.self) {
            try event("{\"v\":1,\"type\":\"token\",\"t\":\"\0\"" + token)
        }
        let job = #"{"v":1,"type":"job","job_id":"a","attempt":1,"prompt":"\u0000"}"#
        let message = try DispatcherMessage(parsing: Array(job.utf8))
        guard case .job(let parsed, _) = message else {
            Issue.record("no job: \(message)")
            return
        }
        #expect(parsed.prompt == "\0")
        #expect(try DispatcherMessage(parsing: message.serialized()) == message)
    }

    @Test("an error code of the future still ends the job")
    func unknownCode() throws {
        let parsed = try event(
            #"{"v":1,"type":"error","worker":"w","boot":1,"seq":2,"job_id":"a","attempt":1,"#
                + #""code":"TOO_WARM","message":"ouch","retriable":false}"#)
        #expect(
            parsed.body
                == .job(
                    JobReference(jobID: "a", attempt: 1),
                    .error(JobFailure(.internal, "TOO_WARM: ouch", retriable: false))))
    }

    @Test("a number that is none is written as 0")
    func notANumber() throws {
        let metrics = TokenEvent.Metrics(
            tokensOut: 0, decodeTimeMilliseconds: 0, tokensPerSecond: .nan)
        let event = WorkerEvent(
            worker: "w", boot: 1, sequence: 0,
            body: .job(JobReference(jobID: "a", attempt: 1), .metrics(metrics)))
        guard
            case .job(_, .metrics(let read)) = try WorkerEvent(parsing: event.serialized()).body
        else {
            Issue.record("no metrics")
            return
        }
        #expect(read.tokensPerSecond == 0)
    }

    @Test(
        "bad events are refused",
        arguments: [
            #"{"v":1,"type":"token","worker":"w","boot":1,"seq":2,"t":"x","ids":[1],"i":0}"#,
            #"{"v":1,"type":"bye","worker":"w","boot":1,"reason":"x"}"#,
            #"{"v":1,"type":"bye","worker":"w","boot":1,"seq":-1,"reason":"x"}"#,
            #"{"v":1,"type":"bye","worker":"w","boot":1,"seq":1,"reason":"x","job_id":"a"}"#,
            #"{"v":1,"type":"hello","worker":"w","boot":1,"seq":1}"#,
            #"{"v":1,"type":"accepted","worker":"w","boot":1,"seq":1,"job_id":"a","attempt":1,"#
                + #""state":"lost","position":0,"free":0}"#,
            #"{"v":1,"type":"accepted","worker":"w","boot":1,"seq":1,"job_id":"a","attempt":1,"#
                + #""state":"done","position":9007199254740992,"free":0}"#,
            #"{"v":1,"type":"error","worker":"w","boot":1,"seq":1,"code":"X","message":"m","#
                + #""retriable":true,"errors":[{}]}"#,
        ])
    func bad(_ text: String) throws {
        let error = try #require(throws: WireError.self) { try event(text) }
        #expect(error.kind == .schema)
        #expect(error.failure.code == .malformed)
    }
}

@Suite("Wire properties") struct WirePropertyTests {
    #if DEBUG
    static let mutations = 4_000
    #else
    static let mutations = 60_000
    #endif

    @Test("every dispatcher message survives the wire", arguments: RandomSource.seeds)
    func messages(_ seed: UInt64) throws {
        var random = RandomSource(seed: seed)
        for _ in 0..<2_000 {
            let message = random.dispatcherMessage()
            #expect(try DispatcherMessage(parsing: message.serialized()) == message)
        }
    }

    @Test("every worker event survives the wire", arguments: RandomSource.seeds)
    func events(_ seed: UInt64) throws {
        var random = RandomSource(seed: seed)
        for _ in 0..<2_000 {
            let event = random.workerEvent()
            #expect(try WorkerEvent(parsing: event.serialized()) == event)
        }
    }

    /// A damaged message that still parses can be written, and parses again to the same value.
    @Test("damaged messages end in a value or an error", arguments: RandomSource.seeds)
    func mutations(_ seed: UInt64) throws {
        var random = RandomSource(seed: seed)
        var refused = 0
        for _ in 0..<Self.mutations {
            var bytes =
                random.flag()
                ? random.dispatcherMessage().serialized() : random.workerEvent().serialized()
            random.damage(&bytes)
            do {
                let message = try DispatcherMessage(parsing: bytes)
                #expect(try DispatcherMessage(parsing: message.serialized()) == message)
            } catch {
                refused += 1
                #expect(error.failure.errors.count <= JobValidation.reportedErrors)
            }
            if let event = try? WorkerEvent(parsing: bytes) {
                #expect(try WorkerEvent(parsing: event.serialized()) == event)
            }
            _ = try? ExecuteRequest(parsing: bytes)
        }
        #expect(refused > Self.mutations / 4)
        #expect(refused < Self.mutations)
    }
}

extension RandomSource {
    /// One to three edits of the kinds that break parsers.
    fileprivate mutating func damage(_ bytes: inout [UInt8]) {
        let pieces = [
            "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud800", "null", "true", "-",
            "1e999",
            "0.0", "1e1", "18446744073709551616", "-1", "\u{0}", "\u{FEFF}", "[[[[[[[[[[",
            "\"x_\":1,", "\"v\":1,", "\"type\":\"job\",",
        ]
        for _ in 0...below(3) {
            guard !bytes.isEmpty else { return }
            let at = below(bytes.count)
            switch below(7) {
            case 0: bytes[at] ^= 1 << UInt8(below(8))
            case 1: bytes[at] = UInt8(below(256))
            case 2: bytes.remove(at: at)
            case 3: bytes.removeSubrange(at..<min(bytes.count, at + below(20)))
            case 4: bytes.removeSubrange(at...)
            case 5: bytes.insert(contentsOf: bytes[at..<min(bytes.count, at + below(40))], at: at)
            default: bytes.insert(contentsOf: pieces[below(pieces.count)].utf8, at: at)
            }
        }
    }
}
