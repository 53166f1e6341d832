// Lines that nobody takes: none waits, none is lost without being counted.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import LlorchSystem
import Testing

@Suite struct LogStreamTests {
    @Test func linesArriveWhole() throws {
        let pipe = try Pipe()
        let log = LogStream(descriptor: pipe.writer)
        let lines = (0..<100).map { "line \($0) é\n" }
        for line in lines { log.write(line) }
        #expect(pipe.takeAll() == lines.joined())
    }

    @Test func aFullPipeIsNotWaitedForAndWhatIsMissingIsCounted() throws {
        let pipe = try Pipe()
        let log = LogStream(descriptor: pipe.writer)
        let line = String(repeating: "x", count: 999) + "\n"
        for _ in 0..<1_000 { log.write(line) }
        let first = pipe.takeAll()
        log.write("after\n")
        let second = pipe.takeAll()
        let taken = first.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        #expect(taken.count > 10 && taken.count < 1_000)
        #expect(taken.allSatisfy { $0.utf8.count == 999 }, "a line that fits no more is not begun")
        #expect(
            second == "warning: \(1_000 - taken.count) log lines are missing here, "
                + "they could not be written\nafter\n")
        log.write("and on\n")
        #expect(pipe.takeAll() == "and on\n")
    }

    @Test func aLineLongerThanThePipeIsCutAndTheNextBeginsAnew() throws {
        let pipe = try Pipe()
        let log = LogStream(descriptor: pipe.writer)
        log.write(String(repeating: "x", count: 1 << 20) + "\n")
        let first = pipe.takeAll()
        #expect(!first.isEmpty && first.allSatisfy { $0 == "x" })
        log.write("after\n")
        #expect(
            pipe.takeAll()
                == "\nwarning: 1 log lines are missing here, they could not be written\nafter\n")
    }

    @Test func aReaderThatWentAwayEndsNothing() throws {
        let pipe = try Pipe()
        let log = LogStream(descriptor: pipe.writer)
        pipe.closeReader()
        for _ in 0..<10 { log.write("nobody reads this\n") }
    }

    /// /dev/full answers every write with ENOSPC, as a full disk does.
    @Test func aFullDiskIsSurvived() throws {
        let full = open("/dev/full", O_WRONLY | O_CLOEXEC)
        try #require(full >= 0)
        defer { close(full) }
        let log = LogStream(descriptor: full)
        for _ in 0..<10 { log.write("there is no room\n") }
    }
}

/// A pipe of the system, its reading end non-blocking.
private final class Pipe {
    let writer: Int32
    private var reader: Int32

    struct Failure: Error {
        let code: Int32
    }

    init() throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw Failure(code: errno) }
        (reader, writer) = (ends[0], ends[1])
        _ = fcntl(reader, F_SETFL, O_NONBLOCK)
    }

    deinit {
        closeReader()
        close(writer)
    }

    func closeReader() {
        if reader >= 0 { close(reader) }
        reader = -1
    }

    func takeAll() -> String {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(reader, &buffer, buffer.count)
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
    }
}
