// The sockets around the dispatcher's state machine, used by one thread that calls `poll` again and again.
// What is sent and when: Dispatcher.swift. Other threads reach this one by a queue of theirs and `wakeUp`.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol
package import LlorchSystem

/// What a `poll` brings.
package enum Delivery: Sendable, Hashable {
    /// A worker has the job. Comes at most once a job, and not for a job that fails before.
    case accepted(jobID: String)
    /// An event for the client of the job; the last one is terminal.
    case event(TokenEvent, jobID: String)
    /// A worker's heartbeat.
    case status(WorkerStatus, worker: String, boot: UInt64)
    /// A worker said `bye`.
    case left(worker: String, reason: String)
}

/// Where a worker is reached: addresses to connect to, or with `bind:` before them to be bound for a
/// worker that connects.
package struct WorkerAddresses: Sendable, Hashable {
    package var jobs: String
    package var control: String

    package init(jobs: String, control: String) {
        self.jobs = jobs
        self.control = control
    }
}

/// Owns the events PULL and, for each worker that announces itself, a PUSH for jobs and one for control.
///
/// Not thread-safe: one thread calls everything but `wakeUp.signal()`.
package final class DispatcherClient {
    package private(set) var dispatcher: Dispatcher
    /// Ends a `poll` early; any thread may signal it.
    package let wakeUp: WakeUp
    /// The address bound, with its real port.
    package let eventsAddress: String
    /// Events that were not LLQ/1.
    package private(set) var unreadableEvents = 0
    package var multipartDropped: Int { events.multipartDropped }
    /// Who was not let in; nil without keys.
    package var access: ConnectionGuard.Access? { connections?.access }

    /// Where a worker's pipes lead, and the key it must have there.
    private struct Target {
        var addresses: WorkerAddresses
        var key: CurvePublicKey?
        /// In which family libzmq looks hosts up that are names.
        ///
        /// Looking them up here would stop all streams for as long as the resolver takes.
        var nameFamily = IPFamily.v4
    }

    private let context: ZMQContext
    private let security: QueueSecurity?
    private var connections: ConnectionGuard?
    private var events: ZMQSocket
    private var pipes: [String: WorkerPipes] = [:]
    private var targets: [String: Target] = [:]
    private var ready: [Delivery] = []
    private var nextTick = Duration.zero
    private static let tickInterval = Duration.milliseconds(10)
    /// How long a `poll` waits while jobs are here, which the dispatcher looks after in its ticks.
    private static let busyWait = Duration.milliseconds(20)
    private let addresses: [String: WorkerAddresses]
    /// The key of the worker whose event is being handled; nil without keys.
    private var senderKey: CurvePublicKey?
    private let clock: () -> Duration

    /// Binds the events endpoint, usually `bind:`; workers announce themselves there.
    ///
    /// The workers named in `addresses` are reached there, whatever they announce. With `security`, a worker
    /// must hold the key with which its heartbeats came. The clock never goes back. Throws
    /// `QueueAddressError`, `ZMQError` or `SystemError`.
    package init(
        events endpoint: QueueEndpoint, context: ZMQContext,
        configuration: Dispatcher.Configuration = .init(),
        addresses: [String: WorkerAddresses] = [:], security: QueueSecurity? = nil,
        clock: @escaping () -> Duration = MonotonicClock.now
    ) throws {
        self.context = context
        self.addresses = addresses
        self.clock = clock
        dispatcher = Dispatcher(configuration: configuration)
        wakeUp = try WakeUp()
        self.security = security
        connections = try security?.makeGuard(in: context, now: clock())
        events = try QueueSocket.dispatcherEvents.open(endpoint, in: context, security)
        eventsAddress = events.lastEndpoint
    }

    /// Takes a job, whose events then come from `poll`.
    ///
    /// - Throws: `jobIDConflict`, `queueFull`, or `invalidRequest` for a job too long to send.
    package func submit(_ job: GenerationJob) throws(JobFailure) {
        // Later copies also have a seed and the ids held by then: up to 10 digits and a comma each.
        let bytes =
            DispatcherMessage.job(job, attempt: .max).serialized().count
            + 64 + 11 * max(0, job.maximumTokens - job.resumeIDs.count)
        guard bytes <= QueueSocket.maximumJobBytes else {
            throw JobFailure(
                .invalidRequest,
                "the job has \(bytes) bytes, at most \(QueueSocket.maximumJobBytes) can be sent")
        }
        perform(try dispatcher.submit(job, now: clock()))
    }

    /// Ends a job; unknown ids are no error.
    package func cancel(_ jobID: String) {
        perform(dispatcher.cancel(jobID, now: clock()))
    }

    /// Waits for events, at most this long, and does what is due.
    ///
    /// - Throws: `contextTerminated` after a shutdown of the context.
    package func poll(atMost time: Duration) throws(ZMQError) -> [Delivery] {
        let isBusy = dispatcher.waitingCount + dispatcher.outCount > 0
        if ready.isEmpty {
            var poller = ZMQPoller()
            poller.add(events, .readable)
            connections?.watch(in: &poller)
            poller.add(descriptor: wakeUp.descriptor)
            try poller.wait(atMost: isBusy ? min(time, Self.busyWait) : time)
        }
        _ = wakeUp.take()
        try connections?.serve(now: clock())
        var budget = 1_000
        while budget > 0, let message = try events.receive() {
            budget -= 1
            guard let event = try? WorkerEvent(parsing: message.bytes) else {
                unreadableEvents += 1
                continue
            }
            switch event.body {
            case .heartbeat(let status):
                ready.append(.status(status, worker: event.worker, boot: event.boot))
            case .bye(let reason):
                ready.append(.left(worker: event.worker, reason: reason))
            default: break
            }
            senderKey = message.senderKey
            perform(dispatcher.receive(event, now: clock()))
            if let senderKey { follow(senderKey, of: event) }
        }
        // A tick looks at every job, so it is not done after every event.
        let now = clock()
        if now >= nextTick {
            nextTick = now + Self.tickInterval
            perform(dispatcher.tick(now: now))
        }
        defer { ready.removeAll(keepingCapacity: true) }
        return ready
    }

    /// Opens the pipes to a worker.
    ///
    /// If its addresses cannot be used it has no pipes, and each send tries again.
    private func open(_ worker: String) {
        // Addresses that the old pipes have bound are free only once the pipes are closed.
        pipes[worker] = nil
        guard let target = targets[worker] else { return }
        pipes[worker] = try? WorkerPipes(
            target.addresses, in: context, security?.speaking(to: target.key),
            nameFamily: target.nameFamily)
    }

    /// Opens the pipes anew to a worker that was started again with another key.
    private func follow(_ key: CurvePublicKey, of event: WorkerEvent) {
        guard let target = targets[event.worker], target.key != key,
            dispatcher.worker(event.worker)?.boot == event.boot
        else { return }
        targets[event.worker]?.key = key
        open(event.worker)
    }

    private func perform(_ actions: [Dispatcher.Action]) {
        var actions = actions[...]
        while let action = actions.popFirst() {
            switch action {
            case .accepted(let jobID): ready.append(.accepted(jobID: jobID))
            case .deliver(let event, let jobID): ready.append(.event(event, jobID: jobID))
            case .connect(let worker, let jobs, let control):
                // Addresses that a worker announces are only connected to, never bound.
                let target = Target(
                    addresses: addresses[worker]
                        ?? WorkerAddresses(jobs: "connect:" + jobs, control: "connect:" + control),
                    key: senderKey)
                if target.addresses != targets[worker]?.addresses
                    || target.key != targets[worker]?.key
                {
                    targets[worker] = target
                    open(worker)
                }
            case .reconnect(let worker):
                // A name that was not reached in one family may have an address in the other.
                let family = targets[worker]?.nameFamily
                targets[worker]?.nameFamily = family == .v4 ? .v6 : .v4
                open(worker)
            case .disconnect(let worker):
                pipes[worker] = nil
                targets[worker] = nil
            case .send(let message, let worker, let channel):
                if pipes[worker] == nil { open(worker) }
                if pipes[worker]?.send(message, channel) != true {
                    // The actions that follow come before those already waiting.
                    actions =
                        (dispatcher.undelivered(message, worker: worker, now: clock())
                        + actions)[...]
                }
            }
        }
    }
}
