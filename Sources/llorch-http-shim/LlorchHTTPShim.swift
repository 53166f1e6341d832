// The command line of the shim: arguments in, one call. What they mean: ShimArguments.swift (LlorchHTTP).
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LlorchCommandLine
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

            EXAMPLES
              llorch-http-shim
              llorch-http-shim --port 0 --events bind:ipc:///run/llorch/events
              llorch-http-shim --worker w1=tcp://10.0.0.7:5601,tcp://10.0.0.7:5602
              llorch-http-shim --events bind:tcp://10.0.0.1:5600 \\
                --curve-secret-key shim.key_secret --curve-allowed-keys workers/

              curl -N http://127.0.0.1:3000/execute -H 'Content-Type: application/json' \\
                -d '{"job_id":"a1","prompt":"Hello","max_tokens":16}'
            """,
        version: Program.version(of: "llorch-http-shim"))

    @Option(help: "Address to listen on; beyond this machine only with a token.")
    var host = ShimArguments().host

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            """
            A file with the token that clients must show as `Authorization: Bearer TOKEN`. Without this \
            option the token is taken from LLORCH_API_TOKEN, if set. /health, /livez and the page at / need \
            no token.
            """, valueName: "file"))
    var tokenFile: String?

    @Option(
        name: .customLong("allowed-host"),
        help: ArgumentHelp(
            """
            A name that clients may use in the Host header, besides localhost, --host and numeric \
            addresses. Repeatable.
            """, valueName: "name"))
    var allowedHosts: [String] = []

    @Option(
        name: .customLong("allowed-origin"),
        help: ArgumentHelp(
            """
            An origin, such as https://app.example, whose web pages may use this server from a browser. \
            The page that this server serves at / needs none. Repeatable.
            """, valueName: "origin"))
    var allowedOrigins: [String] = []

    @Option(parsing: .unconditional, help: "Port to listen on; 0 takes a free port and prints it.")
    var port = ShimArguments().port

    @Option(help: ArgumentHelp("Where workers send their events.", valueName: "bind:address"))
    var events = ShimArguments().events

    @Option(
        name: .customLong("worker"),
        help: ArgumentHelp(
            """
            Reach the worker of this name by these addresses instead of those that it announces. An \
            address that begins with bind: is bound here, for a worker that connects. Repeatable.
            """, valueName: "name=jobs,control"),
        transform: ShimArguments.Worker.init(parsing:))
    var workers: [ShimArguments.Worker] = []

    @OptionGroup var access: AccessOptions

    @Option(parsing: .unconditional, help: "Jobs that may wait; a further job is answered 503.")
    var backlog = ShimArguments().backlog

    @Option(
        parsing: .unconditional,
        help: "Seconds that open streams may still take after SIGTERM, SIGINT or SIGHUP.",
        transform: DrainTimeout.parse)
    var drainTimeout = DrainTimeout.standard

    @OptionGroup var log: LogOptions

    static func main() async { await Program.run(Self.self) }

    func validate() throws {
        _ = try Program.checkUsage { try arguments.options() }
    }

    func run() async throws {
        log.bootstrap()
        try await ShimProcess.run(arguments, logger: log.makeLogger(label: "llorch-http-shim"))
    }

    private var arguments: ShimArguments {
        var arguments = ShimArguments()
        arguments.host = host
        arguments.port = port
        arguments.tokenFile = tokenFile
        arguments.allowedHosts = allowedHosts
        arguments.allowedOrigins = allowedOrigins
        arguments.events = events
        arguments.workers = workers
        arguments.keyFiles = access.keyFiles
        arguments.isInsecure = access.isInsecureBind
        arguments.backlog = backlog
        arguments.drainTimeout = drainTimeout
        return arguments
    }
}
