// The worker of the fault tests: llorch-worker's library with an engine whose every token is known, and with places
// at which the process is killed. Nothing of it is in what is shipped.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LlorchCommandLine
import LlorchWorker
import Logging

@main
struct StubWorker: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stub-worker",
        abstract: "Serves jobs like llorch-worker, with known tokens and planned crashes.",
        discussion: """
            EXAMPLES
              stub-worker --engine stub:ms=5,prefill=20 --worker-id w1
              stub-worker serve --crash-at before-end:3
              stub-worker serve --crash-at load --model models/shakespeare
            """,
        version: Program.version(of: "stub-worker"),
        subcommands: [StubServeCommand.self],
        defaultSubcommand: StubServeCommand.self)

    static func main() { Program.run(Self.self) }
}

/// All options of `llorch-worker serve`, and those of the tests.
struct StubServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Takes jobs from ZeroMQ and sends token events back.")

    @OptionGroup var serve: ServeOptions

    @Option(
        help: """
            stub, or stub: with a list of ms=, prefill= and load= (milliseconds until a token, the first \
            token and the end of loading), replay= and tombstones= (limits of the job table). Without \
            --engine, --model with --crash-at runs the engine of llorch-worker.
            """)
    var engine: String?

    @Option(help: "Kill the process at this point, or with :n the n-th time it comes by.")
    var crashAt: String?

    @Option(help: "A model for the engine of llorch-worker.")
    var model: String?

    func validate() throws {
        _ = try Program.checkUsage { try (options(), stub(), plan()) }
    }

    func run() throws {
        var options = try options()
        let crash = try plan().map(PlannedCrash.init)
        let logger = try serve.log.makeLogger(label: "stub-worker")
        let keyFiles = serve.access.keyFiles
        if engine == nil, let model, crash != nil {
            return try ServeCall.run(
                options, keyFiles: keyFiles,
                model: ModelChoice(
                    path: model, precision: ModelChoice.standardPrecision, isa: nil),
                chunkLength: serve.chunk, logger: logger
            ) { crash?.pass($0) }
        }
        let stub = try stub()
        options.limits = stub.limits
        logger.warning("the stub engine answers: its text means nothing")
        try ServeCall.run(
            options, keyFiles: keyFiles, startup: ["model": "stub"], logger: logger,
            onStage: { crash?.pass($0) },
            makeBackend: { try StubBackend.load(stub, progress: $0) })
    }

    private func stub() throws -> StubOptions { try StubOptions(parsing: engine ?? "stub") }

    private func plan() throws -> CrashPlan? { try crashAt.map(CrashPlan.init(parsing:)) }

    private func options() throws -> WorkerOptions {
        var options = try WorkerOptions(
            name: serve.workerId, jobs: serve.jobs, control: serve.control, events: serve.events,
            advertisedJobs: serve.advertiseJobs, advertisedControl: serve.advertiseControl,
            mayBeExposed: serve.access.mayBeExposed, keyFiles: serve.access.keyFiles)
        options.drainTimeout = serve.drainTimeout
        options.stateDirectory = serve.stateDirectory
        return options
    }
}
