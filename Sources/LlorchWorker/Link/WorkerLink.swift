// Looks at the sockets between two pieces of work and answers at once what has come.
// What an answer is: LlorchQueue's JobTable. When it looks while a job runs: Loop/JobRunner.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchLog
import LlorchProtocol
import LlorchQueue
import LlorchSystem
import Logging

/// Leads messages from the sockets to the table and answers to the outbox, on the worker's one thread.
final class WorkerLink {
    private(set) var table: JobTable
    private(set) var outbox: Outbox
    private(set) var departure = Departure()
    var stall = Stall()
    let options: WorkerOptions
    let logger: Logger
    let observe: StageObserver

    private let sockets: WorkerSockets
    private var heart: Heart
    private var accessLog: AccessLog
    private var lossReport = LossReport()
    private let shutdown: ShutdownSignal
    private let clock: () -> Duration
    private var lastLook: Duration

    /// At most one look at the sockets in this time, while a job runs.
    private static let lookInterval = Duration.milliseconds(10)
    /// A look takes at least this long, and a fifth of the time since the last, if jobs keep coming.
    private static let smallestBudget = Duration.milliseconds(2)
    /// For looks while no job runs.
    private static let idleBudget = Duration.milliseconds(20)
    private static let controlMessagesPerLook = 256
    private static let jobsPerFlush = 16

    init(
        _ options: WorkerOptions, shutdown: ShutdownSignal, logger: Logger,
        clock: @escaping () -> Duration, observe: @escaping StageObserver
    ) throws {
        let logger = logger.named(options.name)
        if let directory = options.stateDirectory { try StateDirectory.prepare(directory) }
        accessLog = AccessLog(options, logger)
        let now = clock()
        let sockets = try WorkerSockets(options, now: now)
        heart = Heart(
            jobs: sockets.jobsAddress, control: sockets.controlAddress,
            stateDirectory: options.stateDirectory, now: now, logger: logger)
        outbox = Outbox(worker: options.name, boot: heart.boot, limit: options.outboxLimit)
        table = JobTable(limits: options.limits)
        logger.info(
            "sockets are open",
            metadata: [
                "jobs": "\(sockets.jobsAddress)", "control": "\(sockets.controlAddress)",
                "events": "\(options.events)", "boot": "\(heart.boot)",
            ])
        self.sockets = sockets
        self.options = options
        self.shutdown = shutdown
        self.logger = logger
        self.clock = clock
        self.observe = observe
        lastLook = now
    }

    var now: Duration { clock() }

    // MARK: - Model

    func noteLoading(_ fraction: Double) throws(ZMQError) {
        heart.noteLoading(fraction)
        observe(.loading)
        try look()
    }

    func noteLoaded(_ facts: ModelFacts) throws(ZMQError) {
        heart.noteLoaded(facts)
        heart.hurry(now)
        try serve(budget: .zero)
    }

    // MARK: - Jobs

    func startNext() -> (job: GenerationJob, queuedMilliseconds: Int)? {
        let next = table.startNext(now: now)
        if let next { heart.noteRunning(next.job.id) }
        return next
    }

    /// The engine is idle again.
    func noteIdle() { heart.noteRunning(nil) }

    /// Sends an event of the running job at once, not at the next look.
    func emit(_ event: TokenEvent) throws(ZMQError) {
        // Before anyone hears of the end: if the process dies after it, the job is not the cause.
        if event.isTerminal { heart.noteRunning(nil) }
        observe(.eventBegins(event))
        outbox.append(table.record(event, now: now))
        try flush()
        observe(.eventEnded(event))
    }

    /// Ends the running job with a failure that is not the engine's; the event leaves with the next flush.
    func giveUp(_ failure: JobFailure) {
        guard table.running != nil else { return }
        outbox.append(table.record(.error(failure), now: now))
    }

    // MARK: - Looks

    /// Looks at the sockets, if the last look was long enough ago; called between pieces of work.
    func look() throws(ZMQError) {
        let elapsed = clock() - lastLook
        guard elapsed >= Self.lookInterval else { return }
        try serve(budget: max(Self.smallestBudget, elapsed / 5))
    }

    /// Waits for a message or for something to become due, at most `limit`, and then looks.
    func wait(atMost limit: Duration? = nil) throws(ZMQError) {
        try flush()
        let now = now
        var end = heart.nextBeat
        if let due = table.nextDue { end = min(end, due) }
        if let deadline = departure.deadline { end = min(end, deadline) }
        if let limit { end = min(end, now + limit) }
        try sockets.wait(
            for: shutdown.descriptor, wantsToSend: !outbox.isEmpty, atMost: end - now)
        try serve(budget: Self.idleBudget)
    }

    /// Answers what has come; takes no further job message once `budget` is used up.
    private func serve(budget: Duration) throws(ZMQError) {
        let begin = clock()
        takeSignals()
        try sockets.serveConnections(now: now)
        let known = table.queuedCount
        var count = 0
        while count < Self.controlMessagesPerLook, let message = try sockets.receiveControl() {
            count += 1
            answer(message)
        }
        count = 0
        while let message = try sockets.receiveJob() {
            count += 1
            answer(message)
            // libzmq takes few at a time, and sends them while the next are read.
            if count % Self.jobsPerFlush == 0 { try flush() }
            if clock() - begin >= budget { break }
        }
        let tookJob = table.queuedCount > known
        outbox.append(table.expire(now: now))
        if departure.isOver(now) {
            giveUp(JobFailure(.shutdown, "the worker leaves; send the job to another"))
        }
        if now >= heart.nextBeat { beat() }
        try flush()
        if tookJob { observe(.jobsAnswered) }
        lastLook = clock()
        observe(.looked)
    }

    private func answer(_ bytes: borrowing ZMQMessage) {
        observe(.messageReceived)
        do throws(WireError) {
            let message = try DispatcherMessage(parsing: bytes.bytes)
            let answers = table.receive(message, now: now)
            if case .job = message { observe(.jobDecided) }
            outbox.append(answers)
            if message == .drain { beginDrain() }
        } catch {
            outbox.append(table.refuse(error, now: now))
        }
    }

    private func beat() {
        let now = now
        let multipart = sockets.multipartDropped
        outbox.put(
            heart.beat(
                Heart.Reading(
                    isDraining: departure.isDraining, isStalled: stall.isActive,
                    running: table.running?.jobID, queued: table.queuedCount, free: table.free,
                    outboxBytes: outbox.bytes, malformed: table.malformed + multipart),
                now: now))
        lossReport.tell(
            LossReport.Totals(
                malformed: table.malformed, multipart: multipart, unreadAnswers: outbox.dropped),
            logger)
        accessLog.tell(sockets, now: now, logger)
    }

    /// Lets the next look send a heartbeat: something has changed.
    func hurryHeartbeat() { heart.hurry(now) }

    // MARK: - Leaving

    private func takeSignals() {
        let requests = shutdown.take()
        guard requests > 0 else { return }
        if departure.isDraining || requests > 1 {
            departure.stop(now: now)
            logger.notice("stopping now")
        }
        beginDrain()
    }

    /// Takes no more jobs, hands the queued ones back, and lets the running one go on for a while.
    func beginDrain() {
        guard departure.drain(now: now, timeout: options.drainTimeout) else { return }
        heart.hurry(now)
        heart.noteLeaving()
        logger.notice("draining", metadata: ["queued": "\(table.queuedCount)"])
        outbox.append(table.drain(now: now))
        observe(.draining)
    }

    /// No job runs any more; the worker may wait for acknowledgements as long as it likes.
    func noteLastJobOver() { departure.forgetDeadline() }

    // MARK: - Sending

    /// Hands to libzmq what it takes.
    func flush() throws(ZMQError) {
        try outbox.flush { bytes throws(ZMQError) in
            let isTaken = try sockets.send(bytes)
            observe(.sent)
            return isTaken
        }
        if outbox.sequence > 0 { heart.noteSent(isJobRunning: table.running != nil) }
    }

    /// Puts the worker's last event behind all others.
    func sayGoodbye(reason: String) {
        outbox.append([Answer(.bye(reason: reason), isRepeatable: false)])
    }

    /// Waits until libzmq has room for an event, at most `limit`, without a look at other messages.
    func waitForRoom(atMost limit: Duration) throws(ZMQError) {
        try sockets.waitForRoom(atMost: limit)
    }

    /// How long closing the sockets may still spend on sending.
    func setLinger(_ time: Duration) throws(ZMQError) { try sockets.setLinger(time) }
}
