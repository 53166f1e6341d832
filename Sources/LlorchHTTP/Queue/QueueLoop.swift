// The one thread that touches ZeroMQ sockets: commands and events in, actions out. It decides nothing: which
// worker has a job is the dispatcher's decision (LlorchQueue), which client hears of it StreamTable's.
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
    private var streams: StreamTable
    private var responses = OpenResponses()
    private var publisher: QueuePublisher
    private var access: AccessLog
    private let logger: Logger
    private var leaveBy: Duration?

    /// Clients that do not read are looked for this often: it takes a look at every stream.
    private static let watchInterval = Duration.milliseconds(20)
    /// After a `stop`, workers have this long to hear of cancels.
    private static let farewell = Duration.seconds(1)

    init(_ options: QueueService.Options, publisher: QueuePublisher, logger: Logger) throws {
        self.publisher = publisher
        self.logger = logger
        access = AccessLog(isExposed: options.isExposed, logger: logger)
        var limits = StreamTable.Limits()
        limits.patience = options.workerPatience
        limits.promptTokens = options.maximumPromptTokens
        streams = StreamTable(limits: limits, now: MonotonicClock.now())
        client = try DispatcherClient(
            events: options.events, context: ZMQContext(), configuration: options.dispatcher,
            addresses: options.addresses, security: options.security)
        wakeUp = client.wakeUp
        logger.info("queue open", metadata: ["events": "\(client.eventsAddress)"])
    }

    /// Works until a `stop`, then until workers know of what was cancelled.
    func run(commands: () -> [QueueService.Command]) throws {
        defer { close(commands()) }
        var watchAt = MonotonicClock.now()
        while true {
            for command in commands() { perform(command) }
            let deliveries = try client.poll(atMost: .milliseconds(100))
            let now = MonotonicClock.now()
            publisher.publish(deliveries, of: client, now: now)
            for case .event(let event, let jobID) in deliveries {
                perform(streams.receive(event, of: jobID, now: now))
            }
            if now >= watchAt {
                watchAt = now + Self.watchInterval
                dropSlowClients(now: now)
            }
            perform(streams.tick(now: now, isServed: publisher.isServed))
            access.report(on: client, now: now)
            if let leaveBy, client.dispatcher.outCount == 0 && responses.isEmpty || leaveBy <= now {
                return
            }
        }
    }

    private func close(_ commands: [QueueService.Command]) {
        for command in commands {
            switch command {
            case .submit(_, let stream), .resume(_, let stream, _):
                stream.deliver(.error(StreamTable.draining))
            case .cancel, .abandon, .drain, .stop: break
            }
        }
        let failure = JobFailure(.internal, "the queue was closed")
        for case .deliver(let event, let reader) in streams.endAll(
            failure, now: MonotonicClock.now())
        {
            responses.deliver(event, to: reader)
        }
    }

    private func dropSlowClients(now: Duration) {
        let readers = streams.readers
        for reader in responses.tick(reading: readers.keys) {
            guard let jobID = readers[reader] else { continue }
            logger.notice("client dropped", metadata: ["job_id": "\(jobID)"])
            perform(streams.leave(reader, of: jobID, now: now))
        }
    }

    private func perform(_ command: QueueService.Command) {
        let now = MonotonicClock.now()
        switch command {
        case .submit(let job, let stream):
            responses.add(stream)
            perform(streams.open(job, for: stream.id))
        case .resume(let job, let stream, let lastEventID):
            responses.add(stream)
            perform(streams.resume(job, for: stream.id, after: lastEventID))
        case .cancel(let jobID):
            perform(streams.cancel(jobID))
        case .abandon(let jobID, let stream):
            responses.remove(stream.id)
            perform(streams.leave(stream.id, of: jobID, now: now))
        case .drain(let timeout):
            logger.info(
                "draining", metadata: .of(.shutdown, ["streams": "\(streams.readers.count)"]))
            streams.drain(until: now + timeout)
        case .stop:
            streams.drain(until: now)
            leaveBy = leaveBy ?? now + Self.farewell
        }
    }

    private func perform(_ actions: [StreamTable.Action]) {
        let now = MonotonicClock.now()
        for action in actions {
            switch action {
            case .submit(let job): submit(job, now: now)
            case .cancel(let jobID):
                publisher.cancelled(jobID, now: now)
                client.cancel(jobID)
            case .deliver(let event, let reader): responses.deliver(event, to: reader)
            case .openSoon(let reader): responses.openSoon(reader)
            case .drop(let reader): responses.drop(reader)
            case .ended(let jobID, let failure): publisher.ended(jobID, failure, now: now)
            case .note(let occurrence): log(occurrence)
            }
        }
    }

    private func submit(_ job: GenerationJob, now: Duration) {
        do throws(JobFailure) {
            try client.submit(job)
        } catch {
            perform(streams.rejected(error))
            return
        }
        publisher.submitted(job.id, now: now)
        perform(streams.submitted(isWaiting: client.dispatcher.isWaiting(job.id)))
    }

    private func log(_ occurrence: StreamTable.Occurrence) {
        switch occurrence {
        case .cameBack(let jobID, let lastEventID):
            logger.info(
                "client came back",
                metadata: [
                    "job_id": "\(jobID)", "last_event_id": "\(lastEventID)",
                ])
        case .gaveUp(let jobs):
            logger.error(
                "jobs given up", metadata: ["jobs": "\(jobs)", "reason": "no worker"])
        }
    }
}
