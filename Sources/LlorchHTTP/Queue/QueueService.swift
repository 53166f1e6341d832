// How all other threads reach the queue's thread: commands go in here, events come out of ResponseStreams.
// The sockets belong to one thread: QueueLoop.swift.
// SPDX-License-Identifier: Apache-2.0

package import LlorchProtocol
package import LlorchQueue
import LlorchSystem
package import Logging
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
        /// Take no more jobs; cancel those still there after this time.
        case drain(Duration)
        case stop
    }

    package struct Options: Sendable {
        package var events: QueueEndpoint
        /// Where workers are reached, by their names, in place of the addresses that they announce.
        package var addresses: [String: WorkerAddresses] = [:]
        /// Nil lets in every worker that reaches the events address.
        package var security: QueueSecurity?
        package var dispatcher = Dispatcher.Configuration()
        /// How long jobs wait while no worker serves, before they are given up.
        package var workerPatience = StreamTable.Limits().patience
        /// Tokens that a prompt may have; nil leaves that to the workers.
        package var maximumPromptTokens: Int?

        package init(events: QueueEndpoint) {
            self.events = events
        }

        /// Whether other machines get in without a key.
        var isExposed: Bool { security == nil && events.isExposed }
    }

    private struct State {
        var commands: [Command] = []
        var sent = 0
        var wakeUp: WakeUp?
        var failure: (any Error)?
    }

    package let serving: Serving
    package let metrics = ShimMetrics()
    private let options: Options
    private let logger: Logger
    private let state = Mutex(State())
    /// Ends when the sockets are open, or cannot be.
    private let opening: (stream: AsyncStream<Never>, source: AsyncStream<Never>.Continuation)

    package init(_ options: Options, serving: Serving, logger: Logger) {
        self.options = options
        self.serving = serving
        self.logger = logger
        let (stream, source) = AsyncStream<Never>.makeStream()
        opening = (stream, source)
    }

    /// Returns when the sockets are open; throws what `run` throws if they cannot be opened.
    package func waitUntilOpen() async throws {
        for await _ in opening.stream {}
        if let failure = state.withLock({ $0.failure }) { throw failure }
    }

    /// Binds the events endpoint and works until the service is told to stop.
    package func run() async throws {
        let result = await withGracefulShutdownHandler {
            await withTaskCancellationHandler {
                await Result { () async throws in
                    // A socket belongs to one thread for all of its life.
                    try await BlockingThread.run { [self] in
                        let loop = try QueueLoop(
                            options,
                            publisher: QueuePublisher(
                                serving: serving, metrics: metrics, logger: logger),
                            logger: logger)
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
        try result.get()
    }

    /// Messages that the queue's thread was sent so far.
    package var messageCount: Int { state.withLock { $0.sent } }

    /// Gives a job to the queue; refusal and events come by the stream.
    package func submit(_ job: GenerationJob, _ stream: ResponseStream) {
        send(.submit(job, stream))
    }

    /// Gives a client that comes back what follows the frame that it names.
    package func resume(_ job: GenerationJob, _ stream: ResponseStream, lastEventID: Int) {
        send(.resume(job, stream, lastEventID: lastEventID))
    }

    /// Ends a job; unknown ids are no error.
    package func cancel(_ jobID: String) {
        send(.cancel(jobID))
    }

    /// Ends the job of a response that nobody reads any more, and by default the connection of the response.
    package func abandon(
        _ jobID: String, _ stream: ResponseStream, closingConnection: Bool = true
    ) {
        stream.drop(closingConnection: closingConnection)
        send(.abandon(jobID, stream))
    }

    /// Refuses new jobs from now on and cancels those that are still here after the timeout.
    package func drain(timeout: Duration) {
        send(.drain(timeout))
    }

    private func send(_ command: Command) {
        let wakeUp = state.withLock { state in
            state.commands.append(command)
            state.sent += 1
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
