// The worker's side of the three pipes: looks at the sockets between pieces of work and answers at once.
// What an answer is: JobTable. When it looks while a job runs: JobRunner.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchQueue
import LlorchSystem
import Logging

/// Sockets, table and outbox of one worker, used by its one thread.
final class WorkerLink {
    private(set) var table: JobTable
    private(set) var outbox: Outbox
    /// A drain was asked for, by message or signal.
    private(set) var isDraining = false
    /// A second signal: leave without waiting for anyone.
    private(set) var isStopping = false

    let logger: Logger
    private let options: WorkerOptions
    private let shutdown: ShutdownSignal
    private let clock: () -> Int64

    private let context: ZMQContext
    private var connections: ConnectionGuard?
    private var jobs: ZMQSocket
    private var control: ZMQSocket
    private let events: ZMQSocket
    private let jobsLock: AddressLock?
    private let controlLock: AddressLock?
    private let jobsAddress: String
    private let controlAddress: String
    private let note: RunningNote?
    private let service: ServiceNotice?
    private var isCrashTold: Bool

    private var facts: ModelFacts?
    private var loadProgress: Double? = 0
    private var stalledAt: Int64?
    private var drainEndsAt = Int64.max
    private var crashPlan: CrashPlan?
    private var lastTick: Int64
    private var nextHeartbeat: Int64
    private var reported = (malformed: 0, multipart: 0, dropped: 0)
    private var accessReport: AccessReport

    /// At most one look at the sockets in this time, in microseconds.
    private static let tickInterval: Int64 = 10_000
    private static let heartbeatInterval: Int64 = 1_000
    private static let controlMessagesPerTick = 256
    private static let jobsPerFlush = 16
    /// Milliseconds that leaving may still take after a second signal.
    private static let stopPatience: Int64 = 500

    init(
        _ options: WorkerOptions, shutdown: ShutdownSignal, logger: Logger,
        clock: @escaping () -> Int64
    ) throws {
        self.options = options
        accessReport = AccessReport(exposure: options.isExposed ? .worker : nil)
        self.shutdown = shutdown
        self.clock = clock
        var logger = logger
        logger[metadataKey: "worker"] = "\(options.name)"
        for endpoint in [options.jobs, options.control, options.events] {
            if let warning = endpoint.warning {
                logger.warning("\(warning)", metadata: ["address": "\(endpoint)"])
            }
        }
        if options.security == nil, options.events.isElsewhere {
            logger.warning(
                "events leave this machine without keys: anyone on the way can read them",
                metadata: ["events": "\(options.events)"])
        }
        context = try ZMQContext()
        connections = try options.security?.makeGuard(in: context, now: .microseconds(clock()))
        jobsLock = try AddressLock(options.jobs)
        controlLock = try AddressLock(options.control)
        jobs = try QueueSocket.workerJobs.open(options.jobs, in: context, options.security)
        control = try QueueSocket.workerControl.open(options.control, in: context, options.security)
        events = try QueueSocket.workerEvents.open(options.events, in: context, options.security)
        jobsAddress = options.advertisedJobs ?? jobs.lastEndpoint
        controlAddress = options.advertisedControl ?? control.lastEndpoint
        let boot = BootNumber.next(stateDirectory: options.stateDirectory, logger: logger)
        note = RunningNote(stateDirectory: options.stateDirectory, logger: logger)
        isCrashTold = note?.crashedOn == nil
        service = ServiceNotice()
        outbox = Outbox(worker: options.name, boot: boot, limit: options.outboxLimit)
        table = JobTable(limits: options.limits)
        crashPlan = options.crashPlan
        self.logger = logger
        lastTick = clock()
        nextHeartbeat = lastTick / 1_000
        logger.info(
            "sockets are open",
            metadata: [
                "jobs": "\(jobsAddress)", "control": "\(controlAddress)",
                "events": "\(options.events)", "boot": "\(boot)",
            ])
    }

    /// Milliseconds.
    var now: Int64 { clock() / 1_000 }

    /// For the state machines.
    private var time: Duration { .milliseconds(now) }

    // MARK: - Model

    func noteLoading(_ fraction: Double) throws(ZMQError) {
        loadProgress = fraction
        pass(.load)
        try tick()
    }

    func noteLoaded(_ facts: ModelFacts) throws(ZMQError) {
        self.facts = facts
        loadProgress = nil
        service?.send(.ready)
        nextHeartbeat = now
        try serve(budget: 0)
    }

    // MARK: - Jobs

    func startNext() -> (job: GenerationJob, queuedMilliseconds: Int)? {
        let next = table.startNext(now: time)
        if let next { note?.write(next.job.id) }
        return next
    }

    /// The backend is idle again.
    func noteIdle() {
        note?.write(nil)
    }

    /// Sends an event of the running job, without waiting for the next tick.
    func emit(_ event: TokenEvent) throws(ZMQError) {
        // Before anyone hears of the end: a death after it is not the job's.
        if event.isTerminal { note?.write(nil) }
        pass(.before(event))
        outbox.append(table.record(event, now: time))
        try flush()
        pass(.after(event))
    }

    /// Comes by a place where the fault tests may have the process killed.
    func pass(_ point: CrashPoint?) {
        if let point { crashPlan?.pass(point) }
    }

    /// Waits because the events have no reader, and gives the job up if that lasts.
    func pause() throws(ZMQError) {
        if stalledAt == nil {
            stalledAt = now
            nextHeartbeat = now
            logger.warning(
                "the running job is paused: nobody reads the events",
                metadata: ["outbox_bytes": "\(outbox.bytes)"])
        }
        try wait()
        if let since = stalledAt, now - since >= options.stallTimeout, table.running != nil {
            let failure = JobFailure(
                .consumerStalled, "the events were not read for \(options.stallTimeout) ms")
            outbox.append(table.record(.error(failure), now: time))
        }
        if !outbox.isFull {
            stalledAt = nil
            nextHeartbeat = now
        }
    }

    // MARK: - Ticks

    /// Looks at the sockets, if the last look was long enough ago; called between pieces of work.
    func tick() throws(ZMQError) {
        let elapsed = clock() - lastTick
        guard elapsed >= Self.tickInterval else { return }
        try serve(budget: max(2_000, elapsed / 5))
    }

    /// Waits for a message or for something to become due, and serves it.
    func wait(atMost limit: Int64 = .max) throws(ZMQError) {
        try flush()
        var poller = ZMQPoller()
        poller.add(jobs, .readable)
        poller.add(control, .readable)
        connections?.watch(in: &poller)
        if !outbox.isEmpty { poller.add(events, .writable) }
        poller.add(descriptor: shutdown.descriptor)
        let due = min(nextHeartbeat, table.nextDue?.wholeMilliseconds ?? .max, drainEndsAt)
        try poller.wait(atMost: .milliseconds(min(limit, max(0, due - now))))
        try serve(budget: 20_000)
    }

    /// Answers what has come; `budget` is in microseconds.
    private func serve(budget: Int64) throws(ZMQError) {
        let begin = clock()
        takeSignals()
        try connections?.serve(now: time)
        let known = table.queuedCount
        var count = 0
        while count < Self.controlMessagesPerTick, let message = try control.receive() {
            count += 1
            answer(message)
        }
        count = 0
        while let message = try jobs.receive() {
            count += 1
            answer(message)
            // libzmq takes few at a time, and sends them while the next are read.
            if count % Self.jobsPerFlush == 0 { try flush() }
            if clock() - begin >= budget { break }
        }
        let tookJob = table.queuedCount > known
        outbox.append(table.expire(now: time))
        if now >= drainEndsAt, table.running != nil {
            let failure = JobFailure(.shutdown, "the worker leaves; send the job to another")
            outbox.append(table.record(.error(failure), now: time))
        }
        if now >= nextHeartbeat { beat() }
        try flush()
        if tookJob { pass(.afterAccepted) }
        lastTick = clock()
    }

    private func answer(_ bytes: borrowing ZMQMessage) {
        pass(.received)
        do throws(WireError) {
            let message = try DispatcherMessage(parsing: bytes.bytes)
            let answers = table.receive(message, now: time)
            if case .job = message { pass(.beforeAccepted) }
            outbox.append(answers)
            if message == .drain { beginDrain() }
        } catch {
            outbox.append(table.refuse(error, now: time))
        }
    }

    private func takeSignals() {
        let requests = shutdown.take()
        guard requests > 0 else { return }
        if isDraining || requests > 1 {
            isStopping = true
            drainEndsAt = now
            logger.notice("stopping now")
        }
        beginDrain()
    }

    /// Takes no more jobs, hands the queued ones back, and lets the running one go on for a while.
    func beginDrain() {
        guard !isDraining else { return }
        isDraining = true
        drainEndsAt = min(drainEndsAt, now + options.drainTimeout)
        nextHeartbeat = now
        service?.send(.stopping)
        logger.notice("draining", metadata: ["queued": "\(table.queuedCount)"])
        outbox.append(table.drain(now: time))
        pass(.drain)
    }

    private func beat() {
        nextHeartbeat = now + Self.heartbeatInterval
        service?.send(.alive)
        let running = table.running?.jobID
        let state: WorkerStatus.State =
            if isDraining {
                .draining
            } else if loadProgress != nil {
                .loading
            } else if stalledAt != nil {
                .stalled
            } else {
                running == nil ? .idle : .busy
            }
        outbox.put(
            WorkerStatus(
                state: state, jobs: jobsAddress, control: controlAddress, running: running,
                queued: table.queuedCount, free: table.free, model: facts,
                loadProgress: loadProgress, crashedOn: isCrashTold ? nil : note?.crashedOn,
                outboxBytes: outbox.bytes, malformed: table.malformed + multipartDropped))
        reportLosses()
        reportAccess()
    }

    /// Says who was not let in, and once a minute that everyone is.
    private func reportAccess() {
        for news in accessReport.news(of: connections?.access, now: time) {
            let fields = news.fields.map { ($0.name, Logger.MetadataValue.string($0.value)) }
            logger.warning("\(news.message)", metadata: Dictionary(uniqueKeysWithValues: fields))
        }
    }

    private var multipartDropped: Int { jobs.multipartDropped + control.multipartDropped }

    /// Says once a second at most what was refused or left out.
    private func reportLosses() {
        let totals = (
            malformed: table.malformed,
            multipart: multipartDropped, dropped: outbox.dropped
        )
        guard totals != reported else { return }
        reported = totals
        logger.warning(
            "messages were refused or left out",
            metadata: [
                "malformed_total": "\(totals.malformed)",
                "multipart_total": "\(totals.multipart)",
                "unread_answers_total": "\(totals.dropped)",
            ])
    }

    private func flush() throws(ZMQError) {
        try outbox.flush { bytes throws(ZMQError) in
            let isTaken = try events.send(bytes)
            pass(.inFlush)
            return isTaken
        }
        // The note stays until its news has left, and no longer: it must not be told twice.
        if !isCrashTold, outbox.sequence > 0 {
            isCrashTold = true
            if table.running == nil { note?.write(nil) }
        }
    }

    // MARK: - End

    /// Says goodbye: waits a little for readers and acknowledgements, then sends `bye` as the last event.
    func leave(reason: String) throws(ZMQError) {
        drainEndsAt = .max
        let begin = now
        pass(.acknowledgementWait)
        while !isStopping, !outbox.isEmpty || isAcknowledgementDue {
            let left = begin + QueueSocket.drainLinger.wholeMilliseconds - now
            if left <= 0 { break }
            try wait(atMost: left)
        }
        outbox.append([Answer(.bye(reason: reason), isRepeatable: false)])
        let end = now + Self.stopPatience
        try flush()
        while !outbox.isEmpty, now < end {
            var poller = ZMQPoller()
            poller.add(events, .writable)
            try poller.wait(atMost: .milliseconds(end - now))
            try flush()
        }
        let patience = Duration.milliseconds(Self.stopPatience)
        try events.set(.linger(isStopping ? patience : QueueSocket.drainLinger))
        logger.notice(
            "leaving", metadata: ["reason": "\(reason)", "unsent_bytes": "\(outbox.bytes)"])
    }

    /// A dispatcher that never acknowledged will not begin now.
    private var isAcknowledgementDue: Bool {
        table.acknowledged > 0 && table.unacknowledged > 0
    }
}
