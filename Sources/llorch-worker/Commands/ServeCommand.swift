// The worker itself: from arguments to the loop. What the loop does: WorkerLoop.swift.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LlorchCommandLine
import LlorchEngine
import LlorchLog
import LlorchQueue
import LlorchSystem
import LlorchWorker
import Logging

struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Takes jobs from ZeroMQ and sends token events back (the default).",
        discussion: """
            Addresses begin with bind: or connect:. Choose ports below 32768: above it a reconnecting
            peer can occupy them. SIGTERM drains, a second one stops at once.

            Beyond this machine addresses are bound with CURVE only: with keys from \
            `llorch-worker keys`, jobs come from those whose public keys are allowed, and events go \
            to the owner of the server key.

            EXAMPLES
              llorch-worker serve --worker-id w1
              llorch-worker serve --worker-id w2 --model gpt2 \\
                --jobs bind:tcp://127.0.0.1:5611 --control bind:tcp://127.0.0.1:5612
              llorch-worker serve --worker-id w3 --events connect:tcp://10.0.0.1:5600 \\
                --jobs bind:tcp://10.0.0.7:5601 --control bind:tcp://10.0.0.7:5602 \\
                --curve-secret-key w3.key_secret --curve-allowed-keys shim.key
            """)

    @Option(help: "The worker's name, unique among the workers of one dispatcher.")
    var workerId: String = "worker"

    @OptionGroup var model: ModelOptions

    @Option(help: "Where jobs come from.")
    var jobs: String = "bind:tcp://127.0.0.1:5601"

    @Option(help: "Where cancels, acknowledgements and pings come from.")
    var control: String = "bind:tcp://127.0.0.1:5602"

    @Option(help: "Where events go.")
    var events: String = "connect:tcp://127.0.0.1:5600"

    @OptionGroup var access: AccessOptions

    @Option(help: "The jobs address as dispatchers reach it, where it is not the bound one.")
    var advertiseJobs: String?

    @Option(help: "The control address as dispatchers reach it.")
    var advertiseControl: String?

    @Option(
        help: "Seconds that the running job may still take after SIGTERM or SIGINT.",
        transform: DrainTimeout.parse)
    var drainTimeout = DrainTimeout.standard

    @Option(
        help:
            "A directory of this worker's own, for the number of its last start and its running job."
    )
    var stateDirectory: String?

    @Option(help: "Tokens of a prefill chunk. Never changes a result.")
    var chunk: Int?

    @OptionGroup var log: LogOptions

    // pool-managerd passes it to every worker; a CPU has no use for it.
    @Option(help: .hidden)
    var gpuDevice: Int?

    // Both for the fault tests: an engine that sleeps instead of computing, and a place to be killed at.
    @Option(help: .hidden)
    var engine: String?

    @Option(help: .hidden)
    var crashAt: String?

    func validate() throws {
        guard !workerId.isEmpty else { throw ValidationError("--worker-id must not be empty") }
        do {
            _ = try engine.map(StubOptions.init(parsing:))
        } catch {
            throw ValidationError("\(error)")
        }
        if let crashAt, CrashPlan(parsing: crashAt) == nil {
            let points = CrashPoint.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--crash-at \(crashAt) is none of \(points)")
        }
        guard chunk ?? 1 >= 1 else { throw ValidationError("--chunk must be at least 1") }
        let options = try addresses()
        for (option, endpoint, advertised) in [
            ("jobs", options.jobs, advertiseJobs),
            ("control", options.control, advertiseControl),
        ] where endpoint.isWildcard && advertised == nil {
            throw ValidationError(
                "--\(option) \(endpoint): bound to every address, so that dispatchers cannot be told "
                    + "where to connect; add --advertise-\(option) tcp://HOST:PORT")
        }
    }

    /// The addresses as they are on the command line, and nothing else yet.
    private func addresses() throws -> WorkerOptions {
        func parse(
            _ option: String, _ text: String, _ direction: QueueEndpoint.Direction
        ) throws -> QueueEndpoint {
            do throws(QueueAddressError) {
                return try QueueEndpoint(
                    parsing: text, default: direction, mayBeExposed: access.mayBeExposed)
            } catch {
                throw ValidationError("--\(option) \(error)")
            }
        }
        let options = WorkerOptions(
            name: workerId, jobs: try parse("jobs", jobs, .bind),
            control: try parse("control", control, .bind),
            events: try parse("events", events, .connect))
        let endpoints = [options.jobs, options.control, options.events]
        if let problem = access.keyFiles.problem(for: endpoints) { throw ValidationError(problem) }
        return options
    }

    func run() throws {
        var logger = log.makeLogger(label: "llorch-worker")
        logger[metadataKey: "worker_id"] = "\(workerId)"
        DescriptorLimit.raise()
        var options = try addresses()
        options.security = try access.keyFiles.load(
            for: [options.jobs, options.control, options.events])
        options.advertisedJobs = advertiseJobs
        options.advertisedControl = advertiseControl
        options.drainTimeout = drainTimeout.wholeMilliseconds
        options.stateDirectory = stateDirectory
        options.crashPlan = crashAt.flatMap(CrashPlan.init(parsing:))
        if let engine { return try runStub(StubOptions(parsing: engine), options, logger) }
        let path = try model.path()
        let isa = try model.kernels().instructionSet.rawValue
        logger.info(
            "startup",
            metadata: [
                "model": "\(path)", "precision": "\(model.precision.rawValue)",
                "isa": "\(isa)",
                "jobs": "\(options.jobs)", "control": "\(options.control)",
                "events": "\(options.events)",
                "key": "\(options.security.map { "\($0.keys.publicKey)" } ?? "none")",
            ])
        let shutdown = try ShutdownSignal.handlingTermination()
        try WorkerLoop.run(options, shutdown: shutdown, logger: logger) { progress in
            var logged = -1
            let loaded = try model.load { fraction in
                let quarter = Int(fraction * 4)
                // On a terminal the bar tells, and a line would tear it.
                if quarter > logged, !Output.errorIsTerminal {
                    logged = quarter
                    logger.info(
                        "model_load_progress", metadata: ["percent": "\(quarter * 25)"])
                }
                try progress(fraction)
            }
            return CPUBackend(loaded, chunkLength: chunk)
        }
    }

    private func runStub(
        _ stub: StubOptions, _ options: WorkerOptions, _ logger: Logger
    ) throws {
        logger.warning("the stub engine answers: its text means nothing")
        var options = options
        options.limits = stub.limits
        let shutdown = try ShutdownSignal.handlingTermination()
        try WorkerLoop.run(options, shutdown: shutdown, logger: logger) { progress in
            try StubBackend.load(stub, progress: progress)
        }
    }
}
