// A worker whose events nobody reads: it pauses, goes on, or gives the job up. Minutes pass by moving the
// worker's clock.
// SPDX-License-Identifier: Apache-2.0

import LlorchEngine
import LlorchProtocol
import LlorchQueue
import LlorchSystem
import LlorchWorker
import Logging
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) struct StallTests {
    @Test func aReaderWhoComesBackInTimeMissesNothing() throws {
        let worker = try UnreadWorker()
        try worker.send(job("a", tokens: 2_048))
        try worker.waitForStall()
        worker.pass(seconds: 50)
        // A heartbeat may follow the end.
        let events = try worker.read { $0.contains { $0.isTerminal } }
        let statuses = events.compactMap(\.status)
        #expect(statuses.contains { $0.state == .stalled })
        // It pauses at 4,000, and says so before what it waits with.
        #expect(statuses.contains { $0.state == .stalled && $0.outboxBytes ?? 0 > 2_000 })
        #expect(statuses.last?.malformed == 0)
        #expect(events.compactMap(\.status).first?.running == "a")
        #expect(events.map(\.sequence) == Array(0..<UInt64(events.count)))
        #expect(Self.ids(of: events) == (0..<2_048).flatMap { Self.ids(at: $0) })
        guard case .job(_, .end(let end))? = events.last(where: \.isTerminal)?.body else {
            Issue.record("no end: \(String(describing: events.last))")
            return
        }
        #expect(end.tokensOut == 2_048)
    }

    @Test func aJobNobodyReadsIsGivenUpAfterAMinute() throws {
        let worker = try UnreadWorker()
        try worker.send(job("a", tokens: 2_048))
        try worker.waitForStall()
        worker.pass(seconds: 61)
        try worker.waitForEnd(of: "a")
        // The worker itself goes on, and still has the one end of the job to tell.
        let events = try worker.read { events in events.contains { $0.isTerminal } }
        #expect(events.compactMap(\.failure) == [.consumerStalled])
        let ids = Self.ids(of: events)
        #expect(ids == (0..<ids.count).flatMap { Self.ids(at: $0) })
        try worker.send(job("b", tokens: 1))
        let rest = try worker.read { $0.contains { $0.isTerminal } }
        let end = rest.last(where: \.isTerminal)
        #expect(end?.jobID == "b" && end?.failure == nil)
    }

    private static func ids(at index: Int) -> [TokenID] {
        ScriptedBackend.piece(of: "a", at: index).ids
    }

    private static func ids(of events: [WorkerEvent]) -> [TokenID] {
        events.flatMap { event -> [TokenID] in
            if case .job(_, .token(let piece)) = event.body { return piece.ids }
            return []
        }
    }
}

/// A worker on a thread of its own whose events have no reader until `read`.
private final class UnreadWorker {
    /// What the worker's thread tells and is told.
    final class Shared: Sendable {
        /// Seconds by which the worker's clock is ahead.
        let passed = Atomic<Int64>(0)
        let log = Mutex<[String]>([])
        let isOver = Atomic<Bool>(false)
        let news: WakeUp

        init() throws { news = try WakeUp() }
    }

    /// Wakes the test at each message.
    struct Listener: LogHandler {
        let shared: Shared
        var logLevel = Logger.Level.info
        var metadata: Logger.Metadata = [:]

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let job = metadata["job_id"].map { " \($0)" } ?? ""
            shared.log.withLock { $0.append("\(event.message)\(job)") }
            shared.news.signal()
        }
    }

    private let shared: Shared
    private let folder: TemporaryDirectory
    private let context: ZMQContext
    private var jobs: ZMQSocket
    private var events: ZMQSocket?
    private let shutdown: ShutdownSignal

    init() throws {
        shared = try Shared()
        let folder = try TemporaryDirectory()
        self.folder = folder
        context = try ZMQContext()
        shutdown = try ShutdownSignal()
        func endpoint(_ direction: String, _ name: String) throws -> QueueEndpoint {
            try QueueEndpoint(parsing: "\(direction):ipc://\(folder.path)/\(name)", default: .bind)
        }
        var options = WorkerOptions(
            name: "w", jobs: try endpoint("bind", "jobs"), control: try endpoint("bind", "control"),
            events: try endpoint("connect", "events"))
        // Far less than the longest job allowed, however well its tokens are merged.
        options.outboxLimit = 4_000
        jobs = try QueueSocket.dispatcherJobs.open(try endpoint("connect", "jobs"), in: context)
        try jobs.set(.linger(.seconds(1)))
        DetachedThread { [shared, shutdown, options] in
            defer {
                shared.isOver.store(true, ordering: .sequentiallyConsistent)
                shared.news.signal()
            }
            try? WorkerLoop.run(
                options, shutdown: shutdown,
                logger: Logger(label: "test") { _ in Listener(shared: shared) },
                clock: {
                    MonotonicClock.now() + .seconds(shared.passed.load(ordering: .relaxed))
                }
            ) { _ in ScriptedBackend() }
        }.start()
    }

    deinit {
        shutdown.request()
        shutdown.request()
        wait { shared.isOver.load(ordering: .sequentiallyConsistent) }
    }

    func send(_ job: GenerationJob) throws {
        let bytes = DispatcherMessage.job(job, attempt: 1).serialized()
        while try !jobs.send(bytes) {
            var poller = ZMQPoller()
            poller.add(jobs, .writable)
            try poller.wait(atMost: .seconds(1))
        }
    }

    func pass(seconds: Int64) {
        shared.passed.add(seconds, ordering: .sequentiallyConsistent)
    }

    func waitForStall() throws { waitForLog { $0.contains("is paused") } }

    func waitForEnd(of id: String) throws { waitForLog { $0 == "job ended \(id)" } }

    private func waitForLog(_ isWanted: (String) -> Bool) {
        wait { shared.log.withLock { $0.contains(where: isWanted) } }
    }

    private func wait(until isDone: () -> Bool) {
        while !isDone() {
            var poller = ZMQPoller()
            poller.add(descriptor: shared.news.descriptor)
            try? poller.wait(atMost: .seconds(1))
            _ = shared.news.take()
        }
    }

    /// Begins to read where nobody did, and reads until enough has come.
    func read(until isDone: ([WorkerEvent]) -> Bool) throws -> [WorkerEvent] {
        var socket: ZMQSocket
        if let former = events.take() {
            socket = former
        } else {
            socket = try QueueSocket.dispatcherEvents.open(
                try QueueEndpoint(parsing: "ipc://\(folder.path)/events", default: .bind),
                in: context)
        }
        var heard: [WorkerEvent] = []
        while !isDone(heard) {
            var poller = ZMQPoller()
            poller.add(socket, .readable)
            try poller.wait(atMost: .seconds(1))
            while let message = try socket.receive() {
                heard.append(try WorkerEvent(parsing: message.bytes))
            }
        }
        events = consume socket
        return heard
    }
}
