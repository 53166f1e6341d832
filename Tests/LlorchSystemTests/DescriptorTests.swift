// Reading, writing and locking: signals in between, pipes that take little at a time, files that end early.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import LlorchSystem
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(10))) struct DescriptorTests {
    @Test func aReadThatASignalInterruptsIsMadeAgain() throws {
        let pipe = try SystemPipe()
        let reading = try InterruptedCall {
            var bytes = [UInt8](repeating: 0, count: 8)
            let count = try bytes.withUnsafeMutableBytes { try pipe.reader.read(into: $0) }
            return Array(bytes[..<count])
        }
        try reading.interrupt(times: 3)
        try pipe.writer.write([1, 2, 3].span)
        #expect(try reading.result() == [1, 2, 3])
    }

    @Test func aWriteThatASignalInterruptsLosesAndRepeatsNothing() throws {
        let pipe = try SystemPipe()
        // Many times what a pipe holds, so that the writer waits; every byte tells its place.
        let bytes = (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 ^ ($0 >> 8)) }
        let writing = try InterruptedCall {
            try pipe.writer.write(bytes.span)
            return []
        }
        try writing.interrupt(times: 3)
        var taken: [UInt8] = []
        var isInterruptedAgain = false
        var buffer = [UInt8](repeating: 0, count: 1_000)
        while taken.count < bytes.count {
            if !isInterruptedAgain, taken.count >= 100_000 {
                isInterruptedAgain = true
                try writing.interrupt(times: 3)
            }
            let count = read(pipe.reader.rawValue, &buffer, buffer.count)
            try #require(count > 0)
            taken += buffer[..<count]
        }
        #expect(taken == bytes)
        #expect(try writing.result() == [])
    }

    @Test func aReadOfAnEmptyPipeThatDoesNotBlockIsAnError() throws {
        let pipe = try SystemPipe()
        try #require(fcntl(pipe.reader.rawValue, F_SETFL, O_NONBLOCK) == 0)
        var bytes = [UInt8](repeating: 0, count: 8)
        let error = try #require(throws: SystemError.self) {
            _ = try bytes.withUnsafeMutableBytes { try pipe.reader.read(into: $0) }
        }
        #expect(error.code == EAGAIN)
    }

    @Test func aWriteToAPipeWithoutAReaderIsAnError() throws {
        signal(SIGPIPE, SIG_IGN)
        let (reader, writer) = try SystemPipe.ends()
        close(reader)
        let error = try #require(throws: SystemError.self) {
            try Descriptor(adopting: writer).write([1].span)
        }
        #expect(error.code == EPIPE)
        #expect("\(error)" == "write: Broken pipe")
    }

    @Test func bytesAreThoseThatTheFileHas() throws {
        let folder = try TemporaryDirectory()
        let file = try Descriptor(openingOrCreating: "\(folder.path)/f")
        #expect(try file.bytes(at: 0, count: 4) == [])
        try file.write([1, 2, 3, 4, 5].span, at: 0)
        try file.write([9].span, at: 1)
        #expect(try file.bytes(at: 0, count: 100) == [1, 9, 3, 4, 5])
        #expect(try file.bytes(at: 3, count: 1) == [4])
        #expect(try file.bytes(at: 9, count: 1) == [])
        let status = try file.status()
        #expect(status.kind == .file && status.size == 5 && status.permissions == 0o600)
    }

    @Test func aLockIsHeldOnceAndEndsWithItsDescriptor() throws {
        let folder = try TemporaryDirectory()
        let path = "\(folder.path)/lock"
        /// Whether a descriptor of its own gets the lock, for as long as `body` runs.
        func isLocked(during body: () throws -> Void = {}) throws -> Bool {
            let file = try Descriptor(openingOrCreating: path)
            let isLocked = try file.lock()
            try body()
            return isLocked
        }
        func isLockFileFree() throws -> Bool { try LockFile(path: path) != nil }
        var othersGotIt: [Bool] = []
        let isFirst = try isLocked { othersGotIt = [try isLocked(), try isLockFileFree()] }
        #expect(isFirst)
        #expect(othersGotIt == [false, false])
        #expect(try isLockFileFree())
        #expect(try isLocked())
    }

    @Test func childrenInheritNoDescriptor() throws {
        let folder = try TemporaryDirectory()
        let file = try Descriptor(openingOrCreating: "\(folder.path)/f")
        #expect(fcntl(file.rawValue, F_GETFD) & FD_CLOEXEC != 0)
    }

    @Test func whatCannotBeOpenedSaysWhy() throws {
        let error = try #require(throws: SystemError.self) {
            _ = try Descriptor(opening: "/nonexistent/f", O_RDONLY)
        }
        #expect(error == SystemError("open /nonexistent/f", ENOENT))
        #expect(error.reason == "No such file or directory")
    }
}
