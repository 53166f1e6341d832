// A whole shim in this process with simulated workers behind it.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import LlorchHTTP
import LlorchProtocol
import LlorchQueue
import Logging
import ServiceLifecycle
import Synchronization
import Testing

struct Harness: Sendable {
    let shim: Shim
    let workers: [SimulatedWorker]
    let port: Int
    /// Where a worker that is not simulated sends its events.
    let events: String
    let group: ServiceGroup

    /// What a test shortens, prolongs or narrows.
    struct Settings {
        var backlog: Int?
        var silence: Duration?
        var workerPatience: Duration?
        var drainTimeout: Duration?
        var timing = ResponseStream.Timing()
        var allowedHosts: [String] = []
        var allowedOrigins: [AllowedOrigin] = []
        var token: AccessToken?
        var connections = ConnectionLimits()
        var maximumConnections: Int?

        func apply(to options: inout ShimOptions) {
            if let backlog { options.queue.dispatcher.backlog = backlog }
            if let silence { options.queue.dispatcher.silence = silence }
            if let workerPatience { options.queue.workerPatience = workerPatience }
            options.allowedHosts = allowedHosts
            options.allowedOrigins = allowedOrigins
            options.token = token
            options.timing = timing
            options.connections = connections
            if let maximumConnections { options.maximumConnections = maximumConnections }
            if let drainTimeout { options.drainTimeout = drainTimeout }
        }
    }

    /// Runs a shim on a free port with a worker per script, and ends all when `body` returns.
    static func run(
        _ scripts: [@Sendable (GenerationJob) -> Script],
        _ settings: Settings = Settings(),
        _ body: @Sendable (Harness) async throws -> Void
    ) async throws {
        let base = "ipc:///tmp/llorch-shim-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        let events = "\(base)-events"
        var options = ShimOptions(events: try QueueEndpoint(parsing: events, default: .bind))
        options.port = 0
        settings.apply(to: &options)
        let (ports, source) = AsyncStream<Int>.makeStream()
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let shim = Shim(options, logger: logger) { source.yield($0) }
        let group = shim.serviceGroup(signals: [], logger: logger)
        let workers = try scripts.enumerated().map { index, script in
            try SimulatedWorker("w\(index + 1)", events: events, base: base, script: script)
        }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                // Workers outlive the shim, which still tells them of cancels.
                defer { for worker in workers { worker.die() } }
                try await group.run()
            }
            for worker in workers { tasks.addTask { try await worker.run() } }
            let port = try #require(await ports.first { _ in true })
            let harness = Harness(
                shim: shim, workers: workers, port: port, events: events, group: group)
            try await eventually { shim.queue.serving.snapshot().workers.count == scripts.count }
            do {
                try await body(harness)
            } catch {
                await group.triggerGracefulShutdown()
                throw error
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
        try removeFiles(base: base)
    }

    private static func removeFiles(base: String) throws {
        let path = base.dropFirst("ipc://".count)
        for suffix in ["events", "events.lock"] { unlink(path + "-" + suffix) }
        for worker in 1...4 {
            for pipe in ["jobs", "control"] { unlink(path + "-w\(worker)-" + pipe) }
        }
    }

    /// A request for a job, its members beside the id as JSON.
    static func job(_ id: String, _ members: String = #""prompt":"Hi","max_tokens":8"#) -> String {
        #"{"job_id":"\#(id)",\#(members)}"#
    }

    /// Sends a job and reads its whole stream.
    func execute(_ body: String) async throws -> [ParsedEvent] {
        try await StreamingClient.post("/execute", body, port: port) { client in
            try #require(client.status == 200, "status \(client.status)")
            return try await client.rest()
        }
    }
}

/// Waits for a condition that another thread brings about; a time limit on the test bounds it.
func eventually(_ condition: @Sendable () async throws -> Bool) async throws {
    while try await !condition() { try await Task.sleep(for: .milliseconds(2)) }
}
