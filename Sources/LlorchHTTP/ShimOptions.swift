// What the shim is told at its start, as values. How settings become these: ShimArguments.swift.
// SPDX-License-Identifier: Apache-2.0

package import LlorchQueue
import LlorchSystem

package struct ShimOptions: Sendable {
    package var host = "127.0.0.1"
    /// The port to listen on; 0 lets the system choose.
    package var port = 3_000
    /// Names by which clients may address this server, besides `localhost`, `host` and numeric addresses.
    package var allowedHosts: [String] = []
    /// Origins of web pages that may use this server from a browser, besides its own page.
    package var allowedOrigins: [AllowedOrigin] = []
    /// What clients must show; nil lets in every client that reaches the port.
    package var token: AccessToken?
    package var queue: QueueService.Options
    /// What a job may be, beyond the rules of every job.
    package var limits = JobLimits()
    /// Who is told that the server can take jobs.
    package var callback = ReadyCallback.Options()
    /// How long open streams may still take after SIGTERM.
    package var drainTimeout = Duration.seconds(5)
    package var timing = ResponseStream.Timing()
    package var connections = ConnectionLimits()
    /// Clients beyond this number wait until others leave.
    package var maximumConnections = AcceptPace.limit(
        ofDescriptors: DescriptorLimit.current, processors: DescriptorLimit.processors)

    package init(events: QueueEndpoint) {
        queue = QueueService.Options(events: events)
    }
}
