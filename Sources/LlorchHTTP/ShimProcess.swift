// The process around the shim: files that arguments name, signals, the line that tells the port, and the sentence
// for a start that failed.
// SPDX-License-Identifier: Apache-2.0

import LlorchQueue
import LlorchSystem
package import Logging
import NIOCore
import ServiceLifecycle

package enum ShimProcess {
    /// Serves until SIGTERM, SIGINT or SIGHUP, and until open streams have ended or the drain timeout is over.
    ///
    /// Prints one line, for scripts: the port may have been chosen by the system. A second signal ends the process at
    /// once.
    package static func run(_ arguments: ShimArguments, logger: Logger) async throws {
        DescriptorLimit.raise()
        var options = try arguments.options()
        options.queue.security = try arguments.keyFiles.load(for: [options.queue.events])
        options.token = try arguments.token()
        if options.token == nil, !arguments.isLoopback {
            logger.warning("--insecure-bind: whoever reaches the port can send jobs")
        }
        let host = options.host.contains(":") ? "[\(options.host)]" : options.host
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
        } catch {
            throw StartError(error, host: options.host, port: options.port)
        }
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
