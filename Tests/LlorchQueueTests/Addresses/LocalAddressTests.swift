// Binding ipc addresses: who may have a path, and what is never removed.
// SPDX-License-Identifier: Apache-2.0

import LlorchQueue
import LlorchSystem
import TestSupport
import Testing

@Suite struct LocalAddressTests {
    private let folder: TemporaryDirectory
    private let path: String
    private let context: ZMQContext

    init() throws {
        folder = try TemporaryDirectory()
        path = folder.path + "/jobs"
        context = try ZMQContext()
    }

    private func bind() throws -> ZMQSocket {
        try QueueSocket.workerJobs.open(
            QueueEndpoint(parsing: "ipc://\(path)", default: .bind), in: context)
    }

    private func refusal() throws -> String {
        try #require(throws: QueueAddressError.self) { _ = try bind() }.reason
    }

    private static func length(of message: consuming ZMQMessage?) -> Int? {
        guard let message else { return nil }
        return message.bytes.count
    }

    @Test func aPathHasOneOwnerAtATime() throws {
        let first = try bind()
        #expect(try refusal().contains("the address is in use"))
        _ = consume first
        #expect(try LocalSocket.occupant(of: path) == .nothing)
        _ = try bind()
    }

    @Test func messagesPass() throws {
        var pull = try bind()
        let push = try QueueSocket.dispatcherJobs.open(
            QueueEndpoint(parsing: "ipc://\(path)", default: .connect), in: context)
        var poller = ZMQPoller()
        poller.add(push, .writable)
        try poller.wait(atMost: .seconds(120))
        let isSent = try push.send([1, 2, 3])
        #expect(isSent)
        poller = ZMQPoller()
        poller.add(pull, .readable)
        try poller.wait(atMost: .seconds(120))
        let received = try Self.length(of: pull.receive())
        #expect(received == 3)
    }

    @Test func aFileIsLeftAlone() throws {
        try SmallFile.replace(path, with: [1, 2, 3])
        #expect(try refusal().contains("is no socket"))
        #expect(try LocalSocket.occupant(of: path + ".lock") == .nothing, "nothing is left behind")
        #expect(try RegularFile.contents(of: path, limit: 10) == [1, 2, 3])
    }

    @Test func aFolderIsLeftAlone() throws {
        let taken = folder.path
        let error = #expect(throws: QueueAddressError.self) {
            _ = try QueueSocket.workerJobs.open(
                QueueEndpoint(parsing: "ipc://\(taken)", default: .bind), in: context)
        }
        #expect(error?.reason.contains("is no socket") == true)
        #expect(try PathKind(path: taken) == .directory)
    }

    /// As after `kill -9`: the socket stands there, and nobody listens.
    @Test func aDeadSocketOfOurOwnIsReplaced() throws {
        _ = try LocalSocket.listening(at: path)
        guard case .socket(let identity) = try LocalSocket.occupant(of: path) else {
            Issue.record("the socket is gone with its descriptor")
            return
        }
        try SmallFile.replace(path + ".lock", with: Array("\(identity.inode)\n".utf8))
        _ = try bind()
    }

    @Test func aDeadSocketOfAnotherProgramIsLeftAlone() throws {
        _ = try LocalSocket.listening(at: path)
        let before = try LocalSocket.occupant(of: path)
        // The second try finds the same: a refusal makes nothing ours.
        for _ in 1...2 {
            #expect(try refusal().contains("another program left behind"))
            #expect(try LocalSocket.occupant(of: path) == before)
        }
        // Nor does a lock whose process had another socket.
        try SmallFile.replace(path + ".lock", with: Array("1\n".utf8))
        #expect(try refusal().contains("another program left behind"))
        #expect(try LocalSocket.occupant(of: path) == before)
    }

    @Test func aLivingSocketOfAnotherProgramIsInUse() throws {
        try SmallFile.replace(path + ".lock", with: [])
        let other = try LocalSocket.listening(at: path)
        #expect(try refusal().contains("the address is in use"))
        #expect(try LocalSocket.isAnswered(path))
        _ = consume other
    }

    @Test func whatTookThePathMeanwhileIsLeftAlone() throws {
        let socket = try bind()
        SmallFile.remove(path)
        try SmallFile.replace(path, with: [7])
        _ = consume socket
        #expect(try RegularFile.contents(of: path, limit: 10) == [7])
    }

    @Test func namesThatCannotBeBoundAreSaid() throws {
        let error = #expect(throws: QueueAddressError.self) {
            _ = try QueueSocket.workerJobs.open(
                QueueEndpoint(parsing: "tcp://localhost:*", default: .bind), in: context)
        }
        #expect(error?.reason.contains("names of hosts cannot be bound") == true)
        #expect(error?.reason.contains("127.0.0.1") == true)
    }

    @Test func anAddressOfAnotherMachineIsSaid() throws {
        let error = #expect(throws: QueueAddressError.self) {
            _ = try QueueSocket.workerJobs.open(
                QueueEndpoint(parsing: "tcp://192.0.2.7:*", default: .bind, mayBeExposed: true),
                in: context)
        }
        #expect(error?.reason.contains("no network interface of this machine") == true)
    }

    @Test(.enabled(if: IPFamily.v6.isSupported, "IPv6 is switched off on this machine"))
    func messagesPassOverIPv6() throws {
        var pull = try QueueSocket.workerJobs.open(
            QueueEndpoint(parsing: "tcp://[::1]:*", default: .bind), in: context)
        let endpoint = try QueueEndpoint(parsing: pull.lastEndpoint, default: .connect)
        #expect(endpoint.family == .v6)
        let push = try QueueSocket.dispatcherJobs.open(endpoint, in: context)
        var poller = ZMQPoller()
        poller.add(push, .writable)
        try poller.wait(atMost: .seconds(120))
        let isSent = try push.send([1])
        #expect(isSent)
        poller = ZMQPoller()
        poller.add(pull, .readable)
        try poller.wait(atMost: .seconds(120))
        let received = try Self.length(of: pull.receive())
        #expect(received == 1)
    }
}
