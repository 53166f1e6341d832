// The arguments of `serve`. What the command does: LlorchWorker/Commands/ServeCall.swift.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LlorchCommandLine
import LlorchWorker

struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Takes jobs from ZeroMQ and sends token events back (the default).",
        discussion: """
            Addresses begin with bind: or connect:. Choose ports below 32768: a peer that reconnects
            can occupy a higher one. SIGTERM, SIGINT and SIGHUP drain the worker, a second one stops it at once.

            Beyond this machine addresses are bound with CURVE only: with keys from \
            `llorch-worker keys`, jobs are taken from peers whose public keys are allowed, and events \
            are sent to the owner of the server key.

            EXAMPLES
              llorch-worker serve --worker-id w1
              llorch-worker serve --worker-id w2 --model gpt2 \\
                --jobs bind:tcp://127.0.0.1:5611 --control bind:tcp://127.0.0.1:5612
              llorch-worker serve --worker-id w3 --events connect:tcp://10.0.0.1:5600 \\
                --jobs bind:tcp://10.0.0.7:5601 --control bind:tcp://10.0.0.7:5602 \\
                --curve-secret-key w3.key_secret --curve-allowed-keys shim.key
            """)

    @OptionGroup var serve: ServeOptions
    @OptionGroup var model: ModelOptions

    func validate() throws { _ = try options() }

    func run() throws {
        try serve.log.run(label: "llorch-worker") { logger in
            try ServeCall.run(
                options(), keyFiles: serve.access.keyFiles, model: model.choice(),
                chunkLength: serve.chunk, logger: logger)
        }
    }

    private func options() throws -> WorkerOptions {
        var options = try Program.checkUsage {
            try WorkerOptions(
                name: serve.workerId, jobs: serve.jobs, control: serve.control,
                events: serve.events, advertisedJobs: serve.advertiseJobs,
                advertisedControl: serve.advertiseControl, mayBeExposed: serve.access.mayBeExposed,
                keyFiles: serve.access.keyFiles)
        }
        options.drainTimeout = serve.drainTimeout
        options.stateDirectory = serve.stateDirectory
        return options
    }
}
