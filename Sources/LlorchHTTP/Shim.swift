// Routes and services from options. Tests call this too; the process around it: LlorchHTTPShim.swift.
// SPDX-License-Identifier: Apache-2.0

package import Hummingbird
import HummingbirdCore
package import Logging
import NIOCore
package import ServiceLifecycle
package import UnixSignals

/// The shim's parts, wired.
package struct Shim: Sendable {
    package let application: Application<ShimResponder>
    package let queue: QueueService
    private let options: ShimOptions

    /// Wires the parts; `onListening` is given the port.
    package init(
        _ options: ShimOptions, logger: Logger,
        onListening: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        self.options = options
        let queue = QueueService(options.queue, directory: WorkerDirectory(), logger: logger)
        self.queue = queue
        let responder = ShimResponder(
            execute: ExecuteRoute(queue: queue, timing: options.timing),
            cancel: CancelRoute(queue: queue), health: HealthRoute(directory: queue.directory),
            metrics: MetricsRoute(metrics: queue.metrics, directory: queue.directory),
            hosts: HostRule(allowing: [options.host] + options.allowedHosts), token: options.token)
        var application = Application(
            responder: responder,
            server: .http1(
                configuration: .init(
                    additionalChannelHandlers: [InboundCloseHandler()],
                    // Of connections between requests and of requests that do not come to an end.
                    idleTimeout: .seconds(60))),
            configuration: .init(
                address: .hostname(options.host, port: options.port),
                // Linux's own limit. A connection beyond it is tried again by its client a second later.
                backlog: 4_096),
            services: [queue],
            onServerRunning: { channel in onListening(channel.localAddress?.port ?? 0) },
            logger: logger)
        application.beforeServerStarts { try await queue.waitUntilOpen() }
        self.application = application
    }

    /// Runs until one of the signals, then lets streams end, or ends them at the drain timeout.
    package func serviceGroup(signals: [UnixSignal], logger: Logger) -> ServiceGroup {
        let drain = Drain(queue: queue, timeout: options.drainTimeout)
        var configuration = ServiceGroupConfiguration(
            services: [application, drain], gracefulShutdownSignals: signals, logger: logger)
        // For a client that neither reads nor leaves; workers have a second to hear of cancels.
        configuration.maximumGracefulShutdownDuration = .milliseconds(options.drainTimeout + 2_000)
        return ServiceGroup(configuration: configuration)
    }
}

/// Begins the drain before the server waits for its connections: services end in reverse order.
private struct Drain: Service {
    let queue: QueueService
    let timeout: Int64

    func run() async throws {
        try await gracefulShutdown()
        queue.drain(timeoutMilliseconds: timeout)
    }
}
