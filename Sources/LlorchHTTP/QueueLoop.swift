// The one thread that touches ZeroMQ sockets: commands in, events to the responses that wait.
// Which job goes where is the dispatcher's decision (LlorchQueue).
// SPDX-License-Identifier: Apache-2.0

import LlorchLog
import LlorchProtocol
import LlorchQueue
import LlorchSystem
import Logging

/// Confined to the thread that made it; other threads have its `wakeUp` only.
final class QueueLoop {
    let wakeUp: WakeUp
    private let client: DispatcherClient
    private var router = EventRouter()
    private var records = StreamRecords()
    /// Clients that came back before the cancel for their absence was answered.
    private var returning: [String: ResponseStream] = [:]
    private let options: QueueService.Options
    private let directory: WorkerDirectory
    private let metrics: ShimMetrics
    private let logger: Logger

    private var isDraining = false
    private var endAt: Int64?
    private var leaveBy: Int64?
    private var lastServedAt = MonotonicClock.milliseconds()
    private var routerTickedAt = Int64.min / 2
    private var accessReport: AccessReport

    init(
        _ options: QueueService.Options, directory: WorkerDirectory, metrics: ShimMetrics,
        logger: Logger
    ) throws {
        self.options = options
        accessReport = AccessReport(exposure: options.isExposed ? .dispatcher : nil)
        self.directory = directory
        self.metrics = metrics
        self.logger = logger
        client = try DispatcherClient(
            events: options.events, context: ZMQContext(), configuration: options.dispatcher,
            addresses: options.addresses, security: options.security)
        wakeUp = client.wakeUp
        logger.info("queue open", metadata: ["events": "\(client.eventsAddress)"])
    }

    /// Works until a `stop`, then until workers know of what was cancelled.
    func run(commands: () -> [QueueService.Command]) throws {
        defer {
            for command in commands() {
                switch command {
                case .submit(_, let stream), .resume(_, let stream, _):
                    stream.refuse(Self.draining)
                default: break
                }
            }
            for stream in returning.values { stream.refuse(Self.draining) }
            router.failAll(JobFailure(.internal, "the queue was closed"))
        }
        while true {
            for command in commands() { perform(command) }
            let deliveries = try client.poll(atMost: .milliseconds(100))
            // Before any client hears of it, so that one who has its answer finds it counted.
            measure(deliveries)
            for delivery in deliveries { hand(delivery) }
            let now = MonotonicClock.milliseconds()
            // It looks at every stream, and the loop goes round with every event.
            if now - routerTickedAt >= 20 {
                routerTickedAt = now
                dropSlowClients()
            }
            records.expire(now: now)
            reportAccess()
            giveUpWithoutWorkers(now: now)
            if let due = endAt, due <= now {
                endAt = nil
                endAll(JobFailure(.shutdown, "this server was shut down; send the job again"))
            }
            if let leaveBy, client.dispatcher.outCount == 0 && router.isEmpty || leaveBy <= now {
                return
            }
        }
    }

    private func dropSlowClients() {
        for jobID in router.tick() {
            logger.notice("client dropped", metadata: ["job_id": LogText.metadata(jobID)])
            noteLeft(jobID)
        }
    }

    private func perform(_ command: QueueService.Command) {
        switch command {
        case .submit(let job, let stream):
            do throws(JobFailure) {
                if isDraining { throw Self.draining }
                try submit(job)
                router.add(stream, for: job.id)
                if client.dispatcher.isWaiting(job.id) { stream.openSoon() }
                records.begin(job)
            } catch {
                stream.refuse(error)
            }
        case .resume(let job, let stream, let lastEventID):
            do throws(JobFailure) {
                try resume(job, stream, after: lastEventID)
            } catch {
                stream.refuse(error)
            }
        case .cancel(let jobID):
            cancel(jobID)
            if router.isWaiting(jobID) { break }
            // Nobody is to come back for it.
            if records[jobID]?.terminal == nil { records.forget(jobID) }
        case .abandon(let jobID, let stream):
            if returning[jobID] === stream { returning[jobID] = nil }
            if router.remove(stream, for: jobID) { noteLeft(jobID) }
        case .drain(let timeout):
            isDraining = true
            endAt = endAt ?? MonotonicClock.milliseconds() + timeout
            logger.info("draining", metadata: ["streams": "\(router.count)"])
        case .stop:
            isDraining = true
            endAt = min(endAt ?? .max, MonotonicClock.milliseconds())
            leaveBy = leaveBy ?? MonotonicClock.milliseconds() + 1_000
        }
    }

    private func submit(_ job: GenerationJob) throws(JobFailure) {
        try client.submit(job)
        metrics.update { $0.submitted(job.id, now: MonotonicClock.microseconds()) }
    }

    private func cancel(_ jobID: String) {
        metrics.update { $0.cancelled(jobID, now: MonotonicClock.microseconds()) }
        client.cancel(jobID)
    }

    private func measure(_ deliveries: [Delivery]) {
        let now = MonotonicClock.microseconds()
        var numbers = MetricsTotals.QueueNumbers()
        numbers.counters = client.dispatcher.counters
        numbers.waiting = client.dispatcher.waitingCount
        numbers.out = client.dispatcher.outCount
        numbers.unreadable = client.unreadableEvents + client.multipartDropped
        metrics.update { measurements in
            measurements.totals.queue = numbers
            for case .event(let event, let jobID) in deliveries {
                measurements.note(event, of: jobID, now: now)
            }
        }
    }

    private func hand(_ delivery: Delivery) {
        switch delivery {
        case .accepted: break
        case .event(let event, let jobID): hand(event, of: jobID)
        case .status(let status, let worker, let boot):
            if directory.note(status, of: worker, boot: boot) {
                logger.info(
                    "worker seen",
                    metadata: [
                        "worker": LogText.metadata(worker), "state": "\(status.state.rawValue)",
                    ])
            }
        case .left(let worker, let reason):
            directory.remove(worker)
            logger.info(
                "worker left",
                metadata: [
                    "worker": LogText.metadata(worker), "reason": LogText.metadata(reason),
                ])
        }
    }

    // MARK: - Clients that leave and come back

    /// Nobody reads, so nothing is computed; what was said is kept for a while.
    private func noteLeft(_ jobID: String) {
        records.setLeft(jobID, at: MonotonicClock.milliseconds())
        cancel(jobID)
    }

    private func hand(_ event: TokenEvent, of jobID: String) {
        let isAbsent = records[jobID]?.leftAt != nil
        let stream = event.isTerminal ? returning.removeValue(forKey: jobID) : nil
        if isAbsent, case .error = event {
            // The cancel of a job that was left is no part of its answer.
            if let stream { continueJob(jobID, for: stream) }
            return
        }
        records.append(event, to: jobID, now: MonotonicClock.milliseconds())
        if let stream {
            replay(jobID, to: stream)
            // Of a job whose record was given up; else the stream has it already.
            stream.deliver(event)
            router.addEnded(stream)
        } else {
            router.deliver(event, to: jobID)
        }
    }

    /// The stream leaves out what its client has.
    private func replay(_ jobID: String, to stream: ResponseStream) {
        for event in records[jobID]?.events ?? [] { stream.deliver(event) }
    }

    /// Gives the client what follows the frame it names: from the record, then as it comes.
    ///
    /// A job that was cancelled in the client's absence is submitted again after the tokens that came,
    /// and goes on exactly as it would have.
    private func resume(
        _ job: GenerationJob, _ stream: ResponseStream, after lastEventID: Int
    ) throws(JobFailure) {
        guard let record = records[job.id] else {
            throw Refusal.lastEventID(
                "nothing of this job is held here; send it without Last-Event-ID")
        }
        guard record.fits(job) else {
            throw JobFailure(.jobIDConflict, "a job of other content has this id")
        }
        guard record.hasFrame(id: lastEventID) else {
            throw Refusal.lastEventID("no frame with this id was sent")
        }
        logger.info(
            "client came back",
            metadata: [
                "job_id": LogText.metadata(job.id), "last_event_id": "\(lastEventID)",
            ])
        // The connection that was lost may not have been missed here.
        let former = router.release(job.id) ?? returning.removeValue(forKey: job.id)
        former?.drop()
        if record.terminal != nil {
            replay(job.id, to: stream)
            router.addEnded(stream)
        } else if client.dispatcher.isActive(job.id), record.leftAt != nil {
            returning[job.id] = stream
        } else if client.dispatcher.isActive(job.id) {
            replay(job.id, to: stream)
            router.add(stream, for: job.id)
        } else {
            continueJob(job.id, for: stream)
        }
    }

    /// Submits a job again that was cancelled in its client's absence.
    private func continueJob(_ jobID: String, for stream: ResponseStream) {
        guard let record = records[jobID] else {
            stream.refuse(Dispatcher.cancelled)
            return
        }
        var job = record.job
        job.resumeIDs = record.ids
        do throws(JobFailure) {
            if isDraining { throw Self.draining }
            try submit(job)
            records.setLeft(jobID, at: nil)
            replay(jobID, to: stream)
            router.add(stream, for: jobID)
        } catch {
            stream.refuse(error)
        }
    }

    /// Ends every stream at once, and then its job.
    private func endAll(_ failure: JobFailure) {
        let jobIDs = router.jobIDs
        metrics.update { measurements in
            let now = MonotonicClock.microseconds()
            for jobID in jobIDs { measurements.ended(jobID, .error(failure.code), now: now) }
        }
        router.failAll(failure)
        for stream in returning.values { stream.refuse(failure) }
        returning = [:]
        for jobID in jobIDs { client.cancel(jobID) }
    }

    /// A client is better told than kept where no worker has come back.
    private func giveUpWithoutWorkers(now: Int64) {
        if router.count == 0 || !directory.snapshot().serving.isEmpty {
            lastServedAt = now
        } else if now - lastServedAt > options.workerPatience {
            logger.error(
                "jobs given up", metadata: ["jobs": "\(router.count)", "reason": "no worker"])
            endAll(JobFailure(.workerLost, "no worker came back to go on with the job"))
        }
    }

    /// Says who was not let in, and once a minute that everyone is.
    private func reportAccess() {
        for news in accessReport.news(of: client.access, now: MonotonicClock.now()) {
            let fields = news.fields.map { ($0.name, Logger.MetadataValue.string($0.value)) }
            logger.warning("\(news.message)", metadata: Dictionary(uniqueKeysWithValues: fields))
        }
    }

    private static let draining = JobFailure(
        .draining, "this server is shutting down; send the job elsewhere")
}
