// A worker's loop on a thread of its own, and the dispatcher's ends of its pipes.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import LlorchEngine
import LlorchProtocol
import LlorchQueue
import LlorchSystem
import LlorchWorker
import Logging
import Synchronization
import TestSupport
import Testing

/// Runs `WorkerLoop` until it is told to leave.
final class LoopUnderTest {
    let shutdown: ShutdownSignal
    let context: ZMQContext
    private(set) var events: [WorkerEvent] = []
    private(set) var result: Result<Void, any Error>?

    private var eventsSocket: ZMQSocket
    private var jobsSocket: ZMQSocket
    private var controlSocket: ZMQSocket
    private let ended: Ended
    private let endedWakeUp: WakeUp

    /// How the loop ended, told by its thread.
    final class Ended: Sendable {
        let result = Mutex<Result<Void, any Error>?>(nil)
    }

    /// Starts a worker and waits for its first heartbeat.
    init(
        limits: JobTable.Limits = .init(), outboxLimit: Int = 16 << 20,
        drainTimeout: Duration = .seconds(5), stallTimeout: Duration = .seconds(60),
        makeBackend: @escaping @Sendable (WorkerLoop.Progress) throws -> ScriptedBackend = { _ in
            ScriptedBackend()
        }
    ) throws {
        shutdown = try ShutdownSignal()
        context = try ZMQContext()
        eventsSocket = try QueueSocket.dispatcherEvents.open(
            QueueEndpoint(parsing: "tcp://127.0.0.1:*", default: .bind), in: context)
        let local = try QueueEndpoint(parsing: "tcp://127.0.0.1:*", default: .bind)
        var options = WorkerOptions(
            name: "w1", jobs: local, control: local,
            events: try QueueEndpoint(parsing: eventsSocket.lastEndpoint, default: .connect))
        options.limits = limits
        options.outboxLimit = outboxLimit
        options.drainTimeout = drainTimeout
        options.stallTimeout = stallTimeout
        ended = Ended()
        endedWakeUp = try WakeUp()
        jobsSocket = try ZMQSocket(.push, in: context)
        controlSocket = try ZMQSocket(.push, in: context)
        start(options, makeBackend)
        let status = try waitForStatus { _ in true }
        jobsSocket = try QueueSocket.dispatcherJobs.open(
            QueueEndpoint(parsing: status.jobs, default: .connect), in: context)
        // Bursts of a feeder that does not look at answers.
        try jobsSocket.set(.immediate(true))
        controlSocket = try QueueSocket.dispatcherControl.open(
            QueueEndpoint(parsing: status.control, default: .connect), in: context)
    }

    private func start(
        _ options: WorkerOptions,
        _ makeBackend: @escaping @Sendable (WorkerLoop.Progress) throws -> ScriptedBackend
    ) {
        let (ended, wakeUp, shutdown) = (ended, endedWakeUp, shutdown)
        let thread = DetachedThread {
            let result = Result {
                try WorkerLoop.run(
                    options, shutdown: shutdown,
                    logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
                ) { progress in try makeBackend(progress) }
            }
            ended.result.withLock { $0 = result }
            wakeUp.signal()
        }
        thread.start()
    }

    deinit {
        // Twice: stop now.
        shutdown.request()
        shutdown.request()
        while ended.result.withLock({ $0 == nil }) {
            var poller = ZMQPoller()
            poller.add(descriptor: endedWakeUp.descriptor)
            try? poller.wait(atMost: .seconds(1))
        }
    }

    // MARK: - Speaking

    func send(_ message: DispatcherMessage) throws {
        try sendJobs(message.serialized())
    }

    /// Sends bytes on the jobs socket, reading events while the socket is full.
    func sendJobs(_ bytes: [UInt8]) throws {
        while try !jobsSocket.send(bytes) { try read(milliseconds: 1) }
    }

    func control(_ message: DispatcherMessage) throws {
        while try !controlSocket.send(message.serialized()) { try read(milliseconds: 1) }
    }

    // MARK: - Listening

    /// Reads events until one fits; earlier ones count too.
    @discardableResult
    func wait(until isDone: ([WorkerEvent]) -> Bool) throws -> [WorkerEvent] {
        while !isDone(events) { try read(milliseconds: 1_000) }
        return events
    }

    func waitForStatus(_ fits: (WorkerStatus) -> Bool) throws -> WorkerStatus {
        while true {
            if let status = events.compactMap(\.status).last(where: fits) { return status }
            try read(milliseconds: 1_000)
        }
    }

    /// Waits for the terminal event of a job.
    @discardableResult
    func terminal(of id: String) throws -> TokenEvent {
        while true {
            if let event = jobEvents(id).last(where: \.isTerminal) { return event }
            try read(milliseconds: 1_000)
        }
    }

    /// Waits for the loop to return; throws what it threw.
    func waitForEnd() throws {
        while true {
            if let result = ended.result.withLock({ $0 }) {
                try read(milliseconds: 0)
                return try result.get()
            }
            try read(milliseconds: 5)
        }
    }

    func jobEvents(_ id: String) -> [TokenEvent] {
        events.compactMap { event in
            if case .job(let reference, let event) = event.body, reference.jobID == id {
                return event
            }
            return nil
        }
    }

    private func read(milliseconds: Int) throws {
        var poller = ZMQPoller()
        poller.add(eventsSocket, .readable)
        try poller.wait(atMost: .milliseconds(milliseconds))
        while let message = try eventsSocket.receive() {
            events.append(try WorkerEvent(parsing: message.bytes))
        }
    }
}

extension WorkerEvent {
    var status: WorkerStatus? {
        if case .heartbeat(let status) = body { return status }
        return nil
    }

    var failure: JobFailure.Code? {
        switch body {
        case .job(_, .error(let failure)), .refusal(let failure): failure.code
        default: nil
        }
    }
}

extension TokenEvent {
    var failure: JobFailure.Code? {
        if case .error(let failure) = self { return failure.code }
        return nil
    }
}
