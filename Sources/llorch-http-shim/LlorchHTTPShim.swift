// The command line of the shim: options in, one call. Defaults: ShimSettings.swift (LlorchHTTP).
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LlorchCommandLine
import LlorchConfiguration
import LlorchHTTP

@main
struct LlorchHTTPShim: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "llorch-http-shim",
        abstract:
            "Serves llorch workers over HTTP: POST /execute, POST /cancel, GET /health, GET /metrics.",
        discussion: """
            Workers announce themselves on the events address, so that address is all that the workers \
            and this server share. Jobs wait in this server; each worker has one job at a time.

            Every option can also be set by a variable (--max-tokens-in by LLORCH_MAX_TOKENS_IN; several \
            values are separated by spaces; a flag is true or false) and by a key of a YAML file \
            (max-tokens-in: 512; flags are true or false). The command line counts most, then variables, \
            then the variables MODEL_PATH, CALLBACK_URL, WORKER_ID and PORT, then the file, then the \
            defaults.

            EXAMPLES
              llorch-http-shim
              llorch-http-shim --port 0 --events bind:ipc:///run/llorch/events
              llorch-http-shim --worker w1=tcp://10.0.0.7:5601,tcp://10.0.0.7:5602
              llorch-http-shim --events bind:tcp://10.0.0.1:5600 \\
                --curve-secret-key shim.key_secret --curve-allowed-keys workers/
              llorch-http-shim --worker-id w-7 --port 8001 \\
                --callback-url http://localhost:9200/v2/internal/workers/ready

              curl -N http://127.0.0.1:3000/execute -H 'Content-Type: application/json' \\
                -d '{"job_id":"a1","prompt":"Hello","max_tokens":16}'
            """,
        version: Program.version(of: "llorch-http-shim"))

    @OptionGroup(title: "HTTP OPTIONS") var http: HTTPOptions
    @OptionGroup(title: "QUEUE OPTIONS") var queue: QueueOptions
    @OptionGroup(title: "OPTIONS OF A WORKER-HTTP WORKER") var contract: ContractOptions
    @OptionGroup(title: "CONFIGURATION AND LOG OPTIONS") var start: StartOptions

    static func main() async { await Program.run(Self.self) }

    func run() async throws {
        do {
            let settings = try ShimSettings.merged(given: given, configFile: start.config)
            try await ShimProcess.run(settings, onlyPrints: start.printConfig)
        } catch let error as SettingError where error.isUsage {
            throw ValidationError(error.description)
        }
    }

    /// The options that were given, by the names of their settings.
    private var given: [String: [String]] {
        http.given.merging(queue.given) { first, _ in first }
            .merging(contract.given) { first, _ in first }
            .merging(start.given) { first, _ in first }
    }
}
