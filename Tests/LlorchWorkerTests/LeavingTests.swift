// How a worker leaves: drained, stopped, unable to load; and what it does for a reader who does not read.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import LlorchProtocol
import LlorchQueue
import LlorchSystem
import LlorchWorker
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct LeavingTests {
    @Test func drainHandsBackWhatWaitsAndEndsWhatRuns() throws {
        let gate = Gate()
        let loop = try LoopUnderTest { _ in
            ScriptedBackend(script: { _ in .held(by: gate) })
        }
        try loop.send(.job(job("running"), attempt: 1))
        try loop.wait { events in events.contains { $0.isStart } }
        for id in ["b", "c"] { try loop.send(.job(job(id), attempt: 1)) }
        try loop.wait { events in events.count { $0.isAcceptance } == 3 }
        try loop.control(.drain)
        #expect(try loop.terminal(of: "b").failure == .draining)
        #expect(try loop.terminal(of: "c").failure == .draining)
        try loop.send(.job(job("late"), attempt: 1))
        #expect(try loop.terminal(of: "late").failure == .draining)
        _ = try loop.waitForStatus { $0.state == .draining }
        gate.open()
        #expect(try loop.terminal(of: "running").failure == nil)
        try loop.waitForEnd()
        #expect(loop.events.last?.isBye == true)
        #expect(loop.events.map(\.sequence) == Array(0..<UInt64(loop.events.count)))
    }

    @Test func aJobThatOutlastsTheDrainIsGivenUp() throws {
        let loop = try LoopUnderTest(drainTimeout: .milliseconds(50)) { _ in
            ScriptedBackend(script: { _ in .endless })
        }
        try loop.send(.job(job("running"), attempt: 1))
        try loop.wait { events in events.contains { $0.isStart } }
        loop.shutdown.request()
        #expect(try loop.terminal(of: "running").failure == .shutdown)
        try loop.waitForEnd()
    }

    @Test func aSecondSignalStopsAtOnce() throws {
        let loop = try LoopUnderTest(drainTimeout: .seconds(3_600)) { _ in
            ScriptedBackend(script: { _ in .endless })
        }
        try loop.send(.job(job("running"), attempt: 1))
        try loop.wait { events in events.contains { $0.isStart } }
        loop.shutdown.request()
        _ = try loop.waitForStatus { $0.state == .draining }
        loop.shutdown.request()
        #expect(try loop.terminal(of: "running").failure == .shutdown)
        try loop.waitForEnd()
        #expect(loop.events.last?.isBye == true)
    }

    @Test func terminationSignalsArriveAsRequests() throws {
        let signal = try ShutdownSignal.handlingTermination(requests: 3)
        for number in [SIGTERM, SIGINT, SIGHUP] {
            kill(getpid(), number)
            var poller = ZMQPoller()
            poller.add(descriptor: signal.descriptor)
            var requests = 0
            while requests == 0 {
                try poller.wait(atMost: .seconds(1))
                requests = signal.take()
            }
            #expect(requests == 1)
        }
    }

    @Test func leavingIsPossibleWhileLoading() throws {
        let loop = try LoopUnderTest { progress in
            while true { try progress(0.1) }
        }
        try loop.send(.job(job("early"), attempt: 1))
        try loop.wait { events in events.contains { $0.isAcceptance } }
        loop.shutdown.request()
        #expect(try loop.terminal(of: "early").failure == .draining)
        try loop.waitForEnd()
    }

    @Test func aModelThatCannotBeLoadedEndsTheWorkerWithItsError() throws {
        struct Unreadable: Error {}
        let fails = Gate()
        let loop = try LoopUnderTest { progress in
            while !fails.isPassable { try progress(0.2) }
            throw Unreadable()
        }
        try loop.send(.job(job("early"), attempt: 1))
        try loop.wait { events in events.contains { $0.isAcceptance } }
        fails.open()
        #expect(try loop.terminal(of: "early").failure == .draining)
        #expect(throws: Unreadable.self) { try loop.waitForEnd() }
        #expect(loop.events.last?.isBye == true)
    }

    @Test func aPortInUseIsAnErrorOfTheStart() throws {
        let loop = try LoopUnderTest()
        let taken = try #require(loop.events.compactMap(\.status).first)
        let options = WorkerOptions(
            name: "w2", jobs: try QueueEndpoint(parsing: taken.jobs, default: .bind),
            control: try QueueEndpoint(parsing: "tcp://127.0.0.1:*", default: .bind),
            events: try QueueEndpoint(parsing: "tcp://127.0.0.1:9", default: .connect))
        #expect(throws: QueueAddressError.self) {
            try WorkerLoop.run(options, shutdown: try ShutdownSignal(), logger: silent) { _ in
                ScriptedBackend()
            }
        }
    }

    @Test func bootNumbersRiseThoughTheClockDoesNot() throws {
        var template = Array("/tmp/llorch-XXXXXX".utf8CString)
        let made = try #require(mkdtemp(&template))
        let folder = String(cString: made)
        defer {
            unlink(folder + "/boot")
            rmdir(folder)
        }
        let first = BootNumber.next(stateDirectory: folder, logger: silent)
        let future = first + 1_000_000_000_000
        let file = open(folder + "/boot", O_WRONLY | O_TRUNC)
        let text = Array("\(future)\n".utf8)
        _ = write(file, text, text.count)
        close(file)
        #expect(BootNumber.next(stateDirectory: folder, logger: silent) == future + 1)
        #expect(BootNumber.next(stateDirectory: folder, logger: silent) == future + 2)
        #expect(BootNumber.next(stateDirectory: "/nonexistent", logger: silent) > 0)
    }

    @Test func systemdIsToldWhereItAsks() throws {
        let folder = try TemporaryDirectory()
        let path = "\(folder.path)/notify"
        let listener = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(listener) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0)
        func told(_ state: ServiceNotice.State) -> String? {
            guard let notice = ServiceNotice(path: path) else { return nil }
            notice.send(state)
            var bytes = [UInt8](repeating: 0, count: 64)
            let count = recv(listener, &bytes, bytes.count, Int32(MSG_DONTWAIT))
            return count < 0 ? nil : String(decoding: bytes[..<count], as: UTF8.self)
        }
        #expect(told(.ready) == "READY=1")
        #expect(told(.alive) == "WATCHDOG=1")
        func isRefused(_ path: String) -> Bool {
            guard let notice = ServiceNotice(path: path) else { return true }
            notice.send(.alive)
            return false
        }
        #expect(isRefused("") && isRefused("relative"))
        #expect(isRefused("/" + String(repeating: "x", count: 200)))
        #expect(!isRefused("/nobody/listens/here"), "a send to nobody is no error")
    }

    @Test func aNoteOutlivesTheProcessThatDidNotEndItsJob() throws {
        let folder = try TemporaryDirectory()
        /// What is found; false where nothing can be noted.
        func run(
            _ ids: [String?], in path: String? = nil, meanwhile: () -> Void = {}
        ) -> (crashedOn: String?, isKept: Bool) {
            guard let note = RunningNote(stateDirectory: path ?? folder.path, logger: silent)
            else { return (nil, false) }
            for id in ids { note.write(id) }
            meanwhile()
            return (note.crashedOn, true)
        }
        let long = String(repeating: "é\n", count: 500)
        #expect(run([long]).crashedOn == nil)
        // A shorter note over a longer one.
        #expect(run([long, nil, "short"]).crashedOn == long)
        #expect(run(["a", nil]).crashedOn == "short")
        let last = run([]) {
            #expect(!run(["other"]).isKept, "two processes must not share a note")
        }
        #expect(last.crashedOn == nil && last.isKept)
        #expect(!run([], in: "/nonexistent").isKept)
    }
}
