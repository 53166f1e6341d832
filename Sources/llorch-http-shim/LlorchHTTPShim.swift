// The process: arguments to options, one clear sentence for what cannot work, exit status.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import LlorchHTTP
import LlorchLog
import LlorchQueue
import LlorchSystem
import Logging
import NIOCore
import ServiceLifecycle
import UnixSignals

@main
struct LlorchHTTPShim: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "llorch-http-shim",
        abstract:
            "Serves llorch workers over HTTP: POST /execute, POST /cancel, GET /health, GET /metrics.",
        discussion: """
            Workers announce themselves on the events address, so it is all they and this server \
            need to share. Jobs wait here; each worker has one at a time.

            EXAMPLES
              llorch-http-shim
              llorch-http-shim --port 0 --events bind:ipc:///run/llorch/events
              llorch-http-shim --worker w1=tcp://10.0.0.7:5601,tcp://10.0.0.7:5602
              llorch-http-shim --events bind:tcp://10.0.0.1:5600 \\
                --curve-secret-key shim.key_secret --curve-allowed-keys workers/

              curl -N http://127.0.0.1:3000/execute -H 'Content-Type: application/json' \\
                -d '{"job_id":"a1","prompt":"Hello","max_tokens":16}'
            """)

    @Option(help: "Address to listen on; beyond this machine only with a token.")
    var host = "127.0.0.1"

    @Option(
        help: ArgumentHelp(
            """
            A file with the token that clients must show as `Authorization: Bearer TOKEN`; in its place \
            LLORCH_API_TOKEN. /health and /livez are open.
            """, valueName: "file"))
    var tokenFile: String?

    @Option(
        name: .customLong("allowed-host"),
        help: ArgumentHelp(
            """
            A name in the Host header that is answered, beside localhost, --host and numeric \
            addresses. Repeatable.
            """, valueName: "name"))
    var allowedHosts: [String] = []

    @Option(help: "Port to listen on; 0 takes a free one and prints it.")
    var port: UInt16 = 3000

    @Option(help: ArgumentHelp("Where workers send their events.", valueName: "bind:address"))
    var events = QueueSocket.dispatcherEvents.defaultAddress

    @Option(
        name: .customLong("worker"),
        help: ArgumentHelp(
            """
            Reach a worker by these addresses and not by those it announces; with bind: before them they \
            are bound here, for a worker that connects. Repeatable.
            """,
            valueName: "name=jobs,control"))
    var workers: [WorkerArgument] = []

    @Option(
        help: ArgumentHelp(
            "The key pair of this server, from `llorch-worker keys`; turns CURVE on.",
            valueName: "file"))
    var curveSecretKey: String?

    @Option(
        help: ArgumentHelp(
            """
            The workers that may connect: a public key file, or a directory of *.key files, which is \
            read again when one connects.
            """, valueName: "path"))
    var curveAllowedKeys: String?

    @Option(
        help: ArgumentHelp(
            "The public key of the worker, where --events connects to one.", valueName: "file"))
    var curveServerKey: String?

    @Flag(
        help: """
            Lets --events be bound beyond this machine without keys, and --host without a token. Anyone \
            may then be a worker, or a client.
            """)
    var insecureBind = false

    @Option(help: "Jobs that may wait; a further one is answered 503.")
    var backlog = 1_000

    @Option(help: "Seconds that open streams may still take after SIGTERM or SIGINT.")
    var drainTimeout: Double = 5

    @Option(
        help: "trace, debug, info, notice, warning, error or critical.",
        transform: { text in
            guard let level = Logger.Level(rawValue: text) else {
                throw ValidationError("--log-level \(text) is none of the seven levels")
            }
            return level
        })
    var logLevel = Logger.Level.info

    /// ArgumentParser would exit with 64 for a bad command line; orchestrators expect 2.
    static func main() async {
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            guard exitCode(for: error) == .validationFailure else { exit(withError: error) }
            var text = fullMessage(for: error) + "\n"
            text.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
            Glibc.exit(2)
        }
    }

    func validate() throws {
        guard (1...1_000_000).contains(backlog) else {
            throw ValidationError("--backlog \(backlog): expected 1 to 1000000")
        }
        guard (0...3_600).contains(drainTimeout) else {
            throw ValidationError("--drain-timeout \(drainTimeout): expected 0 to 3600 seconds")
        }
        guard !host.isEmpty else {
            throw ValidationError("--host: expected an address, for example 127.0.0.1")
        }
        let isOpen = tokenFile == nil && Self.tokenInEnvironment == nil
        if isOpen, !insecureBind, !QueueEndpoint.isLoopback(host[...]) {
            throw ValidationError(
                "--host \(host): refusing to listen beyond this machine without a token: give "
                    + "--token-file, or listen on 127.0.0.1")
        }
        _ = try options()
    }

    private static var tokenInEnvironment: String? {
        getenv("LLORCH_API_TOKEN").map { String(cString: $0) }
    }

    /// What is wrong with a token ends the start: a server must not be open because of it.
    private func token() throws -> AccessToken? {
        if let tokenFile { return try AccessToken(file: tokenFile) }
        return try Self.tokenInEnvironment.map {
            try AccessToken(Array($0.utf8), from: "LLORCH_API_TOKEN")
        }
    }

    func run() async throws {
        let level = logLevel
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler(label: label, stream: LogStream.standardError)
            handler.logLevel = level
            return handler
        }
        let logger = Logger(label: "llorch-http-shim")
        DescriptorLimit.raise()
        var options = try options()
        options.queue.security = try keyFiles.load(for: [options.queue.events])
        options.token = try token()
        if options.token == nil, !QueueEndpoint.isLoopback(host[...]) {
            logger.warning("--insecure-bind: whoever reaches the port can send jobs")
        }
        let shim = Shim(options, logger: logger) { [host] port in
            // One line for scripts: the port may have been chosen by the system.
            let text = host.contains(":") ? "[\(host)]" : host
            print("listening on http://\(text):\(port)")
            fflush(nil)
        }
        do {
            try await shim.serviceGroup(signals: [.sigterm, .sigint], logger: logger).run()
        } catch is CancellationError {
            logger.warning("stopped before every stream had ended")
        } catch {
            throw StartError(error, host: host, port: port)
        }
    }

    private var keyFiles: QueueKeyFiles {
        QueueKeyFiles(
            secretKey: curveSecretKey, allowedKeys: curveAllowedKeys, serverKey: curveServerKey)
    }

    private func options() throws -> ShimOptions {
        let endpoint: QueueEndpoint
        do {
            endpoint = try QueueEndpoint(
                parsing: events, default: .bind, mayBeExposed: keyFiles.isUsed || insecureBind)
        } catch {
            throw ValidationError("--events \(error)")
        }
        if let problem = keyFiles.problem(for: [endpoint]) { throw ValidationError(problem) }
        var options = ShimOptions(events: endpoint)
        options.host = host
        options.port = Int(port)
        options.allowedHosts = allowedHosts
        options.queue.dispatcher.backlog = backlog
        options.drainTimeout = .milliseconds(Int64(drainTimeout * 1_000))
        for worker in workers { options.queue.addresses[worker.name] = worker.addresses }
        return options
    }
}

/// `name=jobs,control`.
struct WorkerArgument: ExpressibleByArgument {
    let name: String
    let addresses: WorkerAddresses

    init?(argument: String) {
        let parts = argument.split(separator: "=", maxSplits: 1)
        guard parts.count == 2 else { return nil }
        let addresses = parts[1].split(separator: ",", omittingEmptySubsequences: false)
        guard addresses.count == 2 else { return nil }
        for address in addresses {
            guard (try? QueueEndpoint(parsing: String(address), default: .connect)) != nil
            else { return nil }
        }
        name = String(parts[0])
        self.addresses = WorkerAddresses(
            jobs: String(addresses[0]), control: String(addresses[1]))
    }
}

/// What is said where the server could not begin.
private struct StartError: Error, CustomStringConvertible {
    let description: String

    init(_ error: any Error, host: String, port: UInt16) {
        switch error {
        case let error as IOError where error.errnoCode == EADDRINUSE:
            description =
                "\(host):\(port) is in use; stop the other process or choose another --port"
        case let error as IOError where error.errnoCode == EACCES:
            description = "\(host):\(port) is not permitted; choose a --port above 1023"
        case let error as QueueAddressError:
            description = "--events \(error)"
        default:
            description = "\(host):\(port): \(error)"
        }
    }
}
