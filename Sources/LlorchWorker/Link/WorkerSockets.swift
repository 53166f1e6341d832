// The worker's three sockets and what guards them. Takes and gives bytes; what they mean is decided in
// WorkerLink.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchQueue
import LlorchSystem

/// Opened sockets, used by one thread, closed when their owner lets go.
final class WorkerSockets {
    /// The jobs address as dispatchers reach it.
    let jobsAddress: String
    /// The control address as dispatchers reach it.
    let controlAddress: String

    private let context: ZMQContext
    private var connections: ConnectionGuard?
    private var jobs: ZMQSocket
    private var control: ZMQSocket
    private let events: ZMQSocket

    /// - Throws: `QueueAddressError` for an address that cannot be used, `ZMQError`.
    init(_ options: WorkerOptions, now: Duration) throws {
        context = try ZMQContext()
        // Before the first socket: without a guard, sockets with keys would let everyone in.
        connections = try options.security?.makeGuard(in: context, now: now)
        jobs = try QueueSocket.workerJobs.open(options.jobs, in: context, options.security)
        control = try QueueSocket.workerControl.open(options.control, in: context, options.security)
        events = try QueueSocket.workerEvents.open(
            options.events, in: context, options.security,
            nameFamily: Self.nameFamily(of: options.events))
        jobsAddress = options.advertisedJobs ?? jobs.lastEndpoint
        controlAddress = options.advertisedControl ?? control.lastEndpoint
    }

    /// IPv6 for a name that has no other address.
    private static func nameFamily(of endpoint: QueueEndpoint) -> IPFamily {
        guard let name = endpoint.name else { return .v4 }
        return HostName.families(of: name) == [.v6] ? .v6 : .v4
    }

    // MARK: - Messages

    /// The next job message, without waiting; nil where there is none.
    func receiveJob() throws(ZMQError) -> ZMQMessage? { try jobs.receive() }

    /// The next control message, without waiting; nil where there is none.
    func receiveControl() throws(ZMQError) -> ZMQMessage? { try control.receive() }

    /// Hands an event to libzmq without waiting; false where it would wait.
    func send(_ bytes: [UInt8]) throws(ZMQError) -> Bool { try events.send(bytes) }

    /// Messages of several frames that were thrown away.
    var multipartDropped: Int { jobs.multipartDropped + control.multipartDropped }

    // MARK: - Connections

    /// Answers whom libzmq asks about.
    func serveConnections(now: Duration) throws(ZMQError) {
        try connections?.serve(now: now)
    }

    /// Who was not let in; nil without keys.
    var access: ConnectionGuard.Access? { connections?.access }

    // MARK: - Waiting

    /// Waits until a message has come, `descriptor` is readable, or the time is over.
    ///
    /// With `wantsToSend`, room for an event ends the wait too.
    func wait(
        for descriptor: Int32, wantsToSend: Bool, atMost limit: Duration
    ) throws(ZMQError) {
        var poller = ZMQPoller()
        poller.add(jobs, .readable)
        poller.add(control, .readable)
        connections?.watch(in: &poller)
        if wantsToSend { poller.add(events, .writable) }
        poller.add(descriptor: descriptor)
        try poller.wait(atMost: limit)
    }

    /// Waits until an event could be sent, or the time is over; messages wait meanwhile.
    func waitForRoom(atMost limit: Duration) throws(ZMQError) {
        var poller = ZMQPoller()
        poller.add(events, .writable)
        try poller.wait(atMost: limit)
    }

    /// How long closing may still spend on sending what libzmq has taken.
    func setLinger(_ time: Duration) throws(ZMQError) {
        try events.set(.linger(time))
    }
}
