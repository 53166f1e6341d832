// Jobs, and questions to events, for the tests of the loop.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchSystem
import Logging
import Synchronization
import TestSupport

func job(_ id: String, tokens: Int = 4, deadline: UInt32? = nil) -> GenerationJob {
    GenerationJob(
        id: id, prompt: "Hello", maximumTokens: tokens, seed: 1, deadlineMilliseconds: deadline)
}

func reference(_ id: String, _ attempt: UInt32 = 1) -> JobReference {
    JobReference(jobID: id, attempt: attempt)
}

let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

extension ScriptedBackend.Script {
    /// A prefill that outlasts any test.
    static var endless: Self {
        var script = Self()
        script.prefillSteps = .max
        return script
    }
}

extension ScriptedBackend.Script {
    /// A prefill that lasts until the gate is opened.
    static func held(by gate: Gate) -> Self {
        var script = Self()
        script.isHeld = { !gate.isPassable }
        return script
    }
}

extension WorkerEvent {
    var jobID: String? {
        switch body {
        case .accepted(let reference, _), .job(let reference, _): reference.jobID
        case .heartbeat, .refusal, .bye: nil
        }
    }

    var attempt: UInt32? {
        switch body {
        case .accepted(let reference, _), .job(let reference, _): reference.attempt
        case .heartbeat, .refusal, .bye: nil
        }
    }

    var isTerminal: Bool {
        if case .job(_, let event) = body { return event.isTerminal }
        return false
    }

    var isStart: Bool {
        if case .job(_, .started) = body { return true }
        return false
    }

    var isAcceptance: Bool {
        if case .accepted = body { return true }
        return false
    }

    var isBye: Bool {
        if case .bye = body { return true }
        return false
    }
}

extension LoopUnderTest {
    func acceptances(_ id: String) -> [WorkerEvent.Acceptance.State] {
        events.compactMap { event in
            if case .accepted(let reference, let acceptance) = event.body, reference.jobID == id {
                return acceptance.state
            }
            return nil
        }
    }
}

/// A clock that a test moves forward.
final class MovedClock: Sendable {
    private let moved = Mutex(Duration.zero)
    private let isRunning: Bool

    /// With `isRunning`, the time of the machine goes by too; without, only what the test adds.
    init(isRunning: Bool) { self.isRunning = isRunning }

    func now() -> Duration {
        moved.withLock { $0 } + (isRunning ? MonotonicClock.now() : .zero)
    }

    func pass(_ time: Duration) { moved.withLock { $0 += time } }
}
