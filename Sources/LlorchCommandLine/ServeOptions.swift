// The options of a worker that serves jobs, as texts; for llorch-worker and for the worker of the fault tests, which
// has an engine of its own. The model's options are those of the engine, and not here. Reading the addresses:
// LlorchWorker/Commands/ServeCall.swift.
// SPDX-License-Identifier: Apache-2.0

package import ArgumentParser

package struct ServeOptions: ParsableArguments {
    @Option(
        help: """
            The worker's name, unique among the workers of one dispatcher. (default: worker; with other \
            addresses worker-HOST-PORT)
            """)
    package var workerId: String?

    @Option(help: "Where jobs come from.")
    package var jobs = "bind:tcp://127.0.0.1:5601"

    @Option(help: "Where cancels, acknowledgements and pings come from.")
    package var control = "bind:tcp://127.0.0.1:5602"

    @Option(help: "Where events go.")
    package var events = "connect:tcp://127.0.0.1:5600"

    @OptionGroup package var access: AccessOptions

    @Option(help: "The jobs address as dispatchers reach it, if that is not the bound one.")
    package var advertiseJobs: String?

    @Option(help: "The control address as dispatchers reach it, if that is not the bound one.")
    package var advertiseControl: String?

    @Option(
        parsing: .unconditional,
        help: "Seconds that the running job may still take after SIGTERM, SIGINT or SIGHUP.",
        transform: DrainTimeout.parse)
    package var drainTimeout = DrainTimeout.standard

    @Option(
        help: """
            A directory of this worker's own, which keeps the number of its last start and the id of its \
            running job. It is made where its parent exists.
            """)
    package var stateDirectory: String?

    @Option(parsing: .unconditional, help: "Tokens of a prefill chunk. Never changes a result.")
    package var chunk: Int?

    @OptionGroup package var log: LogOptions

    // pool-managerd passes it to every worker; a worker on a CPU ignores it.
    @Option(parsing: .unconditional, help: .hidden)
    var gpuDevice: Int?

    package init() {}

    package func validate() throws {
        guard chunk ?? 1 >= 1 else { throw ValidationError("--chunk must be at least 1") }
    }
}
