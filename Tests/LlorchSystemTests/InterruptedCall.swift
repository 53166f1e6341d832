// A call on a thread of its own that signals interrupt while it waits, and a pipe for it to wait at.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import LlorchSystem
import Synchronization
import TestSupport
import Testing

/// Both ends of a pipe.
final class SystemPipe: Sendable {
    let reader: Descriptor
    let writer: Descriptor

    init() throws {
        let (reader, writer) = try Self.ends()
        self.reader = Descriptor(adopting: reader)
        self.writer = Descriptor(adopting: writer)
    }

    static func ends() throws -> (reader: Int32, writer: Int32) {
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        return (ends[0], ends[1])
    }
}

/// A call that waits in the system; SIGUSR1 interrupts it, since the handler is installed without SA_RESTART.
final class InterruptedCall: Sendable {
    private struct State {
        var thread: pthread_t?
        /// The folder of the thread in /proc.
        var folder: String?
        var result: Result<[UInt8], any Error>?
    }

    private struct EndedEarly: Error {}

    private final class Shared: Sendable {
        let state = Mutex(State())
    }

    private let shared = Shared()

    init(_ call: @escaping @Sendable () throws -> [UInt8]) throws {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = { _ in
            handledSignals.add(1, ordering: .sequentiallyConsistent)
        }
        try #require(sigaction(SIGUSR1, &action, nil) == 0)
        DetachedThread { [shared] in
            // Threads of libdispatch block most signals, and their children inherit that.
            var signals = sigset_t()
            sigemptyset(&signals)
            sigaddset(&signals, SIGUSR1)
            pthread_sigmask(SIG_UNBLOCK, &signals, nil)
            shared.state.withLock {
                $0.thread = pthread_self()
                $0.folder = Self.threadFolder()
            }
            let result = Result { try call() }
            // The thread lives on until its result is taken, so that a late signal finds it.
            shared.state.withLock { $0.result = result }
        }.start()
    }

    private static func threadFolder() -> String? {
        guard let path = realpath("/proc/thread-self", nil) else { return nil }
        defer { free(path) }
        return String(cString: path)
    }

    /// Interrupts the call so many times, each time once it waits.
    func interrupt(times: Int) throws {
        for _ in 0..<times {
            while try !isWaiting() { sched_yield() }
            let before = handledSignals.load(ordering: .sequentiallyConsistent)
            try shared.state.withLock { state in
                guard state.result == nil, let thread = state.thread else { throw EndedEarly() }
                pthread_kill(thread, SIGUSR1)
            }
            while handledSignals.load(ordering: .sequentiallyConsistent) == before {
                sched_yield()
            }
        }
    }

    /// Waits for the end of the call.
    func result() throws -> [UInt8] {
        while true {
            if let result = shared.state.withLock({ $0.result }) { return try result.get() }
            sched_yield()
        }
    }

    /// Whether the thread sleeps in the system: `S` behind the name in its line of /proc.
    private func isWaiting() throws -> Bool {
        let (folder, isOver) = shared.state.withLock { ($0.folder, $0.result != nil) }
        if isOver { throw EndedEarly() }
        guard let folder else { return false }
        let file = try Descriptor(opening: "\(folder)/stat", O_RDONLY)
        let line = String(decoding: try file.bytes(at: 0, count: 512), as: UTF8.self)
        return line.split(separator: ")").last?.hasPrefix(" S") == true
    }
}

/// A handler can capture nothing.
private let handledSignals = Atomic<Int>(0)
