// What a worker is told at its start, as values. From the texts of a command line: Commands/ServeCall.swift.
// SPDX-License-Identifier: Apache-2.0

package import LlorchQueue

package struct WorkerOptions: Sendable {
    /// Unique among the workers of one dispatcher.
    package var name: String
    package var jobs: QueueEndpoint
    package var control: QueueEndpoint
    package var events: QueueEndpoint
    /// Keys and allowed peers; nil lets in whoever reaches the sockets.
    package var security: QueueSecurity?
    /// The jobs address as a dispatcher reaches it; nil is the bound one.
    package var advertisedJobs: String?
    /// The control address as a dispatcher reaches it; nil is the bound one.
    package var advertisedControl: String?
    /// How long a running job may still take after SIGTERM.
    package var drainTimeout = Duration.seconds(5)
    /// Where the last boot number is kept, so that a clock set back does not make this process older, and
    /// the id of the running job, so that the next process can tell in which job this one died.
    package var stateDirectory: String?
    package var limits = JobTable.Limits()
    /// Bytes of events that may wait for their reader.
    package var outboxLimit = 16 << 20
    /// How long a job waits for the reader of its events before it is given up.
    package var stallTimeout = Duration.seconds(60)

    package init(
        name: String, jobs: QueueEndpoint, control: QueueEndpoint, events: QueueEndpoint
    ) {
        self.name = name
        self.jobs = jobs
        self.control = control
        self.events = events
    }

    /// Whether other machines get in without a key.
    var isExposed: Bool {
        security == nil && [jobs, control, events].contains(where: \.isExposed)
    }
}
