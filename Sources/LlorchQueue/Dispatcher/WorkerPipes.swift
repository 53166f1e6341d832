// The sockets by which a dispatcher reaches one worker. When they are opened: DispatcherClient.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchSystem

/// The two sockets of one worker.
final class WorkerPipes {
    private let jobsSocket: ZMQSocket
    private let controlSocket: ZMQSocket

    /// `nameFamily` says in which family hosts that are names are looked up.
    init(
        _ target: WorkerAddresses, in context: ZMQContext, _ security: QueueSecurity?,
        nameFamily: IPFamily
    ) throws(QueueAddressError) {
        let jobsEndpoint = try QueueEndpoint(
            parsing: target.jobs, default: .connect, mayBeExposed: security != nil)
        let controlEndpoint = try QueueEndpoint(
            parsing: target.control, default: .connect, mayBeExposed: security != nil)
        jobsSocket = try QueueSocket.dispatcherJobs.open(
            jobsEndpoint, in: context, security, nameFamily: nameFamily)
        controlSocket = try QueueSocket.dispatcherControl.open(
            controlEndpoint, in: context, security, nameFamily: nameFamily)
    }

    func send(_ message: DispatcherMessage, _ channel: Dispatcher.Channel) -> Bool {
        let bytes = message.serialized()
        do throws(ZMQError) {
            switch channel {
            case .jobs: return try jobsSocket.send(bytes)
            case .control: return try controlSocket.send(bytes)
            }
        } catch {
            return false
        }
    }
}
