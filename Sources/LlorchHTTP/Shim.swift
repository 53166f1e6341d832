// Routes and services from options. Tests call this too; the process around it: ShimProcess.swift.
// SPDX-License-Identifier: Apache-2.0

package import Logging
package import ServiceLifecycle
package import UnixSignals

/// The shim's parts, wired.
package struct Shim: Sendable {
    package let queue: QueueService
    package let connections: ConnectionCounts
    private let server: HTTPServer
    private let callback: ReadyCallback
    private let shutdown: ShutdownRoute
    private let drainTimeout: Duration

    /// Wires the parts; `onListening` is given the port.
    package init(
        _ options: ShimOptions, logger: Logger,
        onListening: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        let counts = ConnectionCounts()
        let queue = QueueService(options.queue, serving: Serving(), logger: logger)
        let callback = ReadyCallback(options.callback, serving: queue.serving, logger: logger)
        let shutdown = ShutdownRoute(isAllowed: options.token != nil)
        let responder = ShimResponder(
            execute: JobRoute(
                ExecuteDialect(maximumTokens: options.limits.maximumTokens), queue: queue,
                timing: options.timing, limits: options.limits),
            cancel: CancelRoute(queue: queue), health: HealthRoute(serving: queue.serving),
            metrics: MetricsRoute(
                metrics: queue.metrics, serving: queue.serving, connections: counts,
                workerID: options.callback.workerID),
            openAI: OpenAIRoutes(
                queue: queue, timing: options.timing, limits: options.limits),
            page: PageRoute(), shutdown: shutdown,
            hosts: HostRule(allowing: [options.host] + options.allowedHosts),
            origins: OriginRule(allowing: options.allowedOrigins), token: options.token,
            logger: logger)
        server = HTTPServer(
            HTTPServer.Options(
                host: options.host, port: options.port, limits: options.connections,
                maximumConnections: options.maximumConnections),
            counts: counts, logger: logger,
            beforeListening: { try await queue.waitUntilOpen() },
            onListening: { port in
                onListening(port)
                callback.listens(at: port)
            },
            respond: responder.respond, refuse: responder.answer)
        self.queue = queue
        connections = counts
        self.callback = callback
        self.shutdown = shutdown
        drainTimeout = options.drainTimeout
    }

    /// Runs until one of the signals, then lets streams end, or ends them at the drain timeout.
    package func serviceGroup(signals: [UnixSignal], logger: Logger) -> ServiceGroup {
        // Services end in reverse order: the drain begins, the server waits for its connections, and the queue
        // is closed when nobody needs it.
        // A shutdown that is asked for, and a callback that fails, leave open streams the time that a signal does.
        var configuration = ServiceGroupConfiguration(
            services: [
                .init(service: queue), .init(service: server),
                .init(service: Drain(queue: queue, timeout: drainTimeout)),
                .init(
                    service: shutdown, successTerminationBehavior: .gracefullyShutdownGroup),
                .init(
                    service: callback, successTerminationBehavior: .ignore,
                    failureTerminationBehavior: .gracefullyShutdownGroup),
            ], gracefulShutdownSignals: signals, logger: logger)
        // For a client that neither reads nor leaves; workers have a second to hear of cancels.
        configuration.maximumGracefulShutdownDuration = drainTimeout + .seconds(2)
        return ServiceGroup(configuration: configuration)
    }
}

/// Begins the drain before the server waits for its connections.
private struct Drain: Service {
    let queue: QueueService
    let timeout: Duration

    func run() async throws {
        try await gracefulShutdown()
        queue.drain(timeout: timeout)
    }
}
