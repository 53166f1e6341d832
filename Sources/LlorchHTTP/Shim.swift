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
    private let drainTimeout: Duration

    /// Wires the parts; `onListening` is given the port.
    package init(
        _ options: ShimOptions, logger: Logger,
        onListening: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        let counts = ConnectionCounts()
        let queue = QueueService(options.queue, serving: Serving(), logger: logger)
        let responder = ShimResponder(
            execute: JobRoute(ExecuteDialect(), queue: queue, timing: options.timing),
            cancel: CancelRoute(queue: queue), health: HealthRoute(serving: queue.serving),
            metrics: MetricsRoute(
                metrics: queue.metrics, serving: queue.serving, connections: counts),
            openAI: OpenAIRoutes(queue: queue, timing: options.timing), page: PageRoute(),
            hosts: HostRule(allowing: [options.host] + options.allowedHosts),
            origins: OriginRule(allowing: options.allowedOrigins), token: options.token,
            logger: logger)
        server = HTTPServer(
            HTTPServer.Options(
                host: options.host, port: options.port, limits: options.connections,
                maximumConnections: options.maximumConnections),
            counts: counts, logger: logger,
            beforeListening: { try await queue.waitUntilOpen() }, onListening: onListening,
            respond: responder.respond, refuse: responder.answer)
        self.queue = queue
        connections = counts
        drainTimeout = options.drainTimeout
    }

    /// Runs until one of the signals, then lets streams end, or ends them at the drain timeout.
    package func serviceGroup(signals: [UnixSignal], logger: Logger) -> ServiceGroup {
        // Services end in reverse order: the drain begins, the server waits for its connections, and the queue
        // is closed when nobody needs it.
        let services: [any Service] = [queue, server, Drain(queue: queue, timeout: drainTimeout)]
        var configuration = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: signals, logger: logger)
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
