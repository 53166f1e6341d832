// Says in the log whom the queue's addresses did not let in, and how often.
// SPDX-License-Identifier: Apache-2.0

import LlorchQueue
import LlorchSystem
import Logging

/// At most one line a second about refusals, and one a minute while everyone is let in.
struct AccessLog {
    private let isExposed: Bool
    private let logger: Logger
    private var next = Duration.zero
    private var nextExposure = Duration.zero
    private var refused = 0
    private var keyFailure: CurveKeyError?

    init(isExposed: Bool, logger: Logger) {
        self.isExposed = isExposed
        self.logger = logger
    }

    mutating func report(on client: DispatcherClient, now: Duration) {
        if isExposed, now >= nextExposure {
            nextExposure = now + .seconds(60)
            logger.warning(
                "--insecure-bind: whoever reaches the events address can pass for a worker")
        }
        guard now >= next else { return }
        next = now + .seconds(1)
        let refusals = client.refusals
        if refusals.count != refused, let last = refusals.last {
            refused = refusals.count
            logger.warning(
                "connections were refused: their keys are not allowed",
                metadata: [
                    "refused_total": "\(refusals.count)", "last_key": "\(last.key)",
                    "last_address": "\(last.address)",
                ])
        }
        if client.keyFailure != keyFailure {
            keyFailure = client.keyFailure
            if let failure = client.keyFailure {
                logger.warning(
                    "the allowed keys could not be read again; those read before stay in force",
                    metadata: ["reason": "\(failure)"])
            }
        }
    }
}
