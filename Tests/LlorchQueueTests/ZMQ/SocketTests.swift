// Real sockets over each transport. Every wait here is bounded by the suite's time limit.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import LlorchProtocol
import LlorchQueue
import LlorchSystem
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct SocketTests {
    @Test(arguments: ["inproc://pair", "ipc", "tcp://127.0.0.1:*"])
    func oneFrameArrivesWholeOverEachTransport(address: String) throws {
        let context = try ZMQContext()
        let folder = try TemporaryFolder()
        let place = address == "ipc" ? "ipc://\(folder.path)/pair" : address
        var pull = try QueueSocket.dispatcherEvents.open(
            QueueEndpoint(parsing: place, default: .bind), in: context)
        let push = try QueueSocket.workerEvents.open(
            QueueEndpoint(parsing: pull.lastEndpoint, default: .connect), in: context)
        let sent = [UInt8]((0..<100_000).map { UInt8(truncatingIfNeeded: $0) })
        while try !push.send(sent) {}
        let received = try next(&pull)
        #expect(received == sent)
        #expect(try pull.receive() == nil)
    }

    @Test func sendingToNobodyWouldBlock() throws {
        let context = try ZMQContext()
        let push = try QueueSocket.workerEvents.open(
            QueueEndpoint(parsing: "tcp://127.0.0.1:9", default: .connect), in: context)
        #expect(try push.send([1]) == false)
    }

    @Test func aFullPipeWouldBlockAndLosesNothing() throws {
        let context = try ZMQContext()
        var pull = try ZMQSocket(.pull, in: context)
        try pull.set(.receiveHighWaterMark(4))
        try pull.bind("inproc://full")
        let push = try ZMQSocket(.push, in: context)
        try push.set(.sendHighWaterMark(4))
        try push.connect("inproc://full")
        var sent: UInt8 = 0
        while try push.send([sent]) { sent += 1 }
        #expect(sent == 8)
        for number in 0..<sent { #expect(try next(&pull) == [number]) }
        #expect(try pull.receive() == nil)
    }

    @Test func anOversizedMessageCutsTheConnectionAndLaterOnesArrive() throws {
        let context = try ZMQContext()
        var pull = try QueueSocket.workerControl.open(
            QueueEndpoint(parsing: "tcp://127.0.0.1:*", default: .bind), in: context)
        let push = try QueueSocket.dispatcherControl.open(
            QueueEndpoint(parsing: pull.lastEndpoint, default: .connect), in: context)
        let tooLong = [UInt8](repeating: 0, count: QueueSocket.maximumControlBytes + 1)
        while try !push.send(tooLong) {}
        // Messages sent before libzmq notices the cut are lost, so this sends until one arrives.
        var received: [UInt8]?
        while received == nil {
            _ = try push.send([7])
            received = try nextOrNil(&pull, within: .milliseconds(20))
        }
        #expect(received == [7])
    }

    @Test func multipartMessagesAreCountedAndPassedOver() throws {
        let context = try ZMQContext()
        var pull = try ZMQSocket(.pull, in: context)
        try pull.bind("inproc://multipart")
        let push = try ZMQSocket(.push, in: context)
        try push.connect("inproc://multipart")
        try push.sendParts([[1], [2], [3]])
        _ = try push.send([4])
        #expect(try next(&pull) == [4])
        #expect(pull.multipartDropped == 1)
    }

    @Test func endingTheContextEndsAWait() throws {
        let context = try ZMQContext()
        let waiting = try WakeUp()
        let ended = try WakeUp()
        let error = SharedError()
        DetachedThread {
            do throws(ZMQError) {
                var pull = try ZMQSocket(.pull, in: context)
                try pull.bind("inproc://ended")
                var poller = ZMQPoller()
                poller.add(pull, .readable)
                waiting.signal()
                try poller.wait(atMost: .seconds(120))
                _ = try pull.receive()
            } catch let thrown {
                error.value.withLock { $0 = thrown }
            }
            ended.signal()
        }.start()
        try wait(for: waiting)
        context.shutdown()
        try wait(for: ended)
        #expect(error.value.withLock { $0 } == .contextTerminated)
    }

    @Test func aWakeUpEndsAWaitAndIsCounted() throws {
        let wakeUp = try WakeUp()
        wakeUp.signal()
        wakeUp.signal()
        var poller = ZMQPoller()
        poller.add(descriptor: wakeUp.descriptor)
        try poller.wait(atMost: .seconds(120))
        #expect(wakeUp.take() == 2)
        #expect(wakeUp.take() == 0)
    }

    @Test func aPortInUseIsSaid() throws {
        let context = try ZMQContext()
        let first = try QueueSocket.workerJobs.open(
            QueueEndpoint(parsing: "tcp://127.0.0.1:*", default: .bind), in: context)
        let endpoint = try QueueEndpoint(parsing: first.lastEndpoint, default: .bind)
        do throws(QueueAddressError) {
            _ = try QueueSocket.workerJobs.open(endpoint, in: context)
            Issue.record("the second bind succeeded")
        } catch {
            #expect(
                "\(error)" == "\(endpoint.address): the address is in use; stop the other process "
                    + "or choose another")
        }
    }
}

private final class SharedError: Sendable {
    let value = Mutex<ZMQError?>(nil)
}

private func wait(for wakeUp: WakeUp) throws {
    while wakeUp.take() == 0 {
        var poller = ZMQPoller()
        poller.add(descriptor: wakeUp.descriptor)
        try poller.wait(atMost: .seconds(1))
    }
}

/// Waits for a message.
private func next(_ socket: inout ZMQSocket) throws -> [UInt8] {
    while true {
        if let bytes = try nextOrNil(&socket, within: .seconds(1)) { return bytes }
    }
}

private func nextOrNil(_ socket: inout ZMQSocket, within time: Duration) throws -> [UInt8]? {
    var poller = ZMQPoller()
    poller.add(socket, .readable)
    try poller.wait(atMost: time)
    guard let message = try socket.receive() else { return nil }
    let bytes = message.bytes
    return bytes.indices.map { bytes[$0] }
}

/// A folder that goes with its owner.
struct TemporaryFolder: ~Copyable {
    let path: String

    init() throws {
        var template = Array("/tmp/llorch-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw SystemError("mkdtemp", errno) }
        path = String(cString: made)
    }

    deinit {
        for name in ["pair", "jobs", "jobs.lock"] { unlink(path + "/" + name) }
        rmdir(path)
    }
}
