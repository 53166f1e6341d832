// The queue's door for all other threads: commands go in here, events come out of ResponseStreams.
// The sockets belong to one thread: QueueLoop.swift.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol
package import LlorchQueue
import LlorchSystem
package import Logging
import NIOPosix
import ServiceLifecycle
import Synchronization

/// Runs the thread of the queue and hands it what other threads ask for.
package final class QueueService: Service, Sendable {
    enum Command: Sendable {
        case submit(GenerationJob, ResponseStream)
        /// The client of this job comes back and has every frame up to this id.
        case resume(GenerationJob, ResponseStream, lastEventID: Int)
        case cancel(String)
        /// The client of this response has gone.
        case abandon(String, ResponseStream)
        /// Take no more jobs; cancel those still there after so many milliseconds.
        case drain(Int64)
        case stop
    }

    package struct Options: Sendable {
        package var events: QueueEndpoint
        /// Addresses that are used in place of those a worker announces.
        package var addresses: [String: WorkerAddresses] = [:]
        /// Nil lets every worker in that reaches the events address.
        package var security: QueueSecurity?
        package var dispatcher = Dispatcher.Configuration()
        /// Milliseconds that jobs wait while no worker serves, before they are given up.
        package var workerPatience: Int64 = 30_000

        package init(events: QueueEndpoint) {
            self.events = events
        }

        /// Whether other machines get in without a key.
        var isExposed: Bool { security == nil && events.isExposed }
    }

    private struct State {
        var commands: [Command] = []
        var wakeUp: WakeUp?
        var failure: (any Error)?
    }

    package let directory: WorkerDirectory
    package let metrics = ShimMetrics()
    private let options: Options
    private let logger: Logger
    private let state = Mutex(State())
    /// Ends when the sockets are open, or cannot be.
    private let opening: (stream: AsyncStream<Never>, source: AsyncStream<Never>.Continuation)

    package init(_ options: Options, directory: WorkerDirectory, logger: Logger) {
        self.options = options
        self.directory = directory
        self.logger = logger
        let (stream, source) = AsyncStream<Never>.makeStream()
        opening = (stream, source)
    }

    /// Returns when the sockets are open; throws what `run` throws where they cannot be.
    package func waitUntilOpen() async throws {
        for await _ in opening.stream {}
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }

    /// Binds the events endpoint and works until the service is told to stop.
    package func run() async throws {
        let pool = NIOThreadPool(numberOfThreads: 1)
        pool.start()
        let result = await withGracefulShutdownHandler {
            await withTaskCancellationHandler {
                await Result { () async throws in
                    try await pool.runIfActive { [self] in
                        let loop = try QueueLoop(
                            options, directory: directory, metrics: metrics, logger: logger)
                        state.withLock { $0.wakeUp = loop.wakeUp }
                        opening.source.finish()
                        try loop.run(commands: takeCommands)
                    }
                }
            } onCancel: {
                self.send(.stop)
            }
        } onGracefulShutdown: {
            self.send(.stop)
        }
        if case .failure(let error) = result { state.withLock { $0.failure = error } }
        opening.source.finish()
        try await pool.shutdownGracefully()
        try result.get()
    }

    /// Gives a job to the queue; refusal and events come by the stream.
    package func submit(_ job: GenerationJob, _ stream: ResponseStream) {
        send(.submit(job, stream))
    }

    /// Gives a client that comes back what follows the frame it names.
    package func resume(_ job: GenerationJob, _ stream: ResponseStream, lastEventID: Int) {
        send(.resume(job, stream, lastEventID: lastEventID))
    }

    /// Ends a job; unknown ids are no error.
    package func cancel(_ jobID: String) {
        send(.cancel(jobID))
    }

    /// Ends the job of a response that nobody reads any more.
    package func abandon(_ jobID: String, _ stream: ResponseStream) {
        stream.drop()
        send(.abandon(jobID, stream))
    }

    /// Refuses new jobs from now on and cancels those that are still here after the timeout.
    package func drain(timeoutMilliseconds: Int64) {
        send(.drain(timeoutMilliseconds))
    }

    private func send(_ command: Command) {
        let wakeUp = state.withLock { state in
            state.commands.append(command)
            return state.wakeUp
        }
        wakeUp?.signal()
    }

    private func takeCommands() -> [Command] {
        state.withLock { state in
            defer { state.commands = [] }
            return state.commands
        }
    }
}

extension Result where Failure == any Error {
    /// The outcome of `body`, thrown or returned.
    fileprivate init(_ body: () async throws -> Success) async {
        do {
            self = .success(try await body())
        } catch {
            self = .failure(error)
        }
    }
}
