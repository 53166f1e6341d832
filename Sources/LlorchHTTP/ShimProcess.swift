// The process around the shim: files that settings name, signals, the line that tells the port, and the sentence
// for a start that failed.
// SPDX-License-Identifier: Apache-2.0

package import LlorchConfiguration
import LlorchLog
import LlorchQueue
import LlorchSystem
import Logging
import NIOCore
import ServiceLifecycle

package enum ShimProcess {
    private static let name = "llorch-http-shim"

    /// Serves until SIGTERM, SIGINT, SIGHUP or `POST /shutdown`, and until open streams have ended or the drain
    /// timeout is over; only prints the settings where `onlyPrints`.
    ///
    /// Prints one line, for scripts: the port may have been chosen by the system. A second signal ends the process at
    /// once.
    package static func run(_ settings: Settings, onlyPrints: Bool) async throws {
        let log = try LogOutput(settings)
        let arguments = try ShimArguments(settings)
        let options = try arguments.options()
        if onlyPrints {
            try Output.write(arguments.printed(program: name))
            return
        }
        log.bootstrap()
        var logger = log.makeLogger(label: name)
        if let workerID = settings.text("worker-id") { logger = logger.named(workerID) }
        if let model = settings.text("model") {
            logger[metadataKey: LogKey.modelReference] = "\(model)"
        }
        do {
            try await serve(options, arguments, logger)
        } catch {
            log.reportFailure(error, label: name)
            throw error
        }
    }

    private static func serve(
        _ options: ShimOptions, _ arguments: ShimArguments, _ logger: Logger
    ) async throws {
        DescriptorLimit.raise()
        var options = options
        options.queue.security = try arguments.keyFiles.load(for: [options.queue.events])
        options.token = try arguments.token()
        if options.token == nil, !arguments.isLoopback {
            logger.warning("--insecure-bind: whoever reaches the port can send jobs")
        }
        if let device = arguments.gpuDevice {
            logger.notice(
                "--gpu-device has no effect: workers compute on CPUs",
                metadata: ["gpu_device": "\(device)"])
        }
        let host = options.host.contains(":") ? "[\(options.host)]" : options.host
        logger.info(
            "startup",
            metadata: .of(
                .startup, ["host": "\(options.host)", "events": "\(options.queue.events)"]))
        let shim = Shim(options, logger: logger) { port in
            do {
                try Output.write("listening on http://\(host):\(port)\n")
            } catch {
                // A server without its standard output still serves.
                logger.warning(
                    "the line that tells the port could not be written",
                    metadata: ["port": "\(port)", "error": "\(error)"])
            }
        }
        let group = shim.serviceGroup(signals: [], logger: logger)
        let signal = try ShutdownSignal.handlingTermination(requests: 1)
        try BlockingThread.start {
            // Without a wait no signal would ever be obeyed: the process then drains at once.
            try? signal.wait()
            Task { await group.triggerGracefulShutdown() }
        }
        do {
            try await group.run()
        } catch let error as ServiceGroupError where error == .alreadyFinished() {
            // The signal came before the services were started.
        } catch is CancellationError {
            logger.warning("stopped before every stream had ended")
        } catch let error as CallbackFailure {
            throw error
        } catch {
            throw StartError(error, host: options.host, port: options.port)
        }
    }
}

extension LogOutput {
    fileprivate init(_ settings: Settings) throws(SettingError) {
        let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
        let level = try settings.value("log-level", expected: "one of \(levels)") {
            Logger.Level(rawValue: $0)
        }
        let format = try settings.value("log-format", expected: "one of \(LogFormat.names)") {
            LogFormat(rawValue: $0)
        }
        self.init(level: level ?? .info, format: format ?? .auto)
    }
}

/// Why the server could not begin, with the remedy if there is one.
private struct StartError: Error, CustomStringConvertible {
    let description: String

    init(_ error: any Error, host: String, port: Int) {
        description =
            switch error {
            case let error as IOError:
                Self.text(SystemError("bind", error.errnoCode), error, host, port)
            case let error as QueueAddressError: "--events \(error)"
            default: "\(host):\(port): \(error)"
            }
    }

    private static func text(
        _ system: SystemError, _ error: IOError, _ host: String, _ port: Int
    ) -> String {
        if system.isAddressInUse {
            return "\(host):\(port) is in use; stop the other process or choose another --port"
        }
        if system.isNotPermitted {
            return "\(host):\(port) is not permitted; choose a --port above 1023"
        }
        return "\(host):\(port): \(error)"
    }
}
