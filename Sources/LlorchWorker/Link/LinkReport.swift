// What the log hears about the sockets of a worker: who is let in, who is not, and what was lost.
// Says each change once; it is asked once a heartbeat.
// SPDX-License-Identifier: Apache-2.0

import LlorchQueue
import Logging

/// Tells who may connect: at the start, and what changes afterwards.
struct AccessReport {
    private let isExposed: Bool
    private var refused = 0
    private var keyFailure: CurveKeyError?
    private var nextExposureWarning: Duration?

    private static let exposureInterval = Duration.seconds(60)

    init(_ options: WorkerOptions, _ logger: Logger) {
        isExposed = options.isExposed
        for endpoint in [options.jobs, options.control, options.events] {
            if let warning = endpoint.warning {
                logger.warning("\(warning)", metadata: ["address": "\(endpoint)"])
            }
        }
        if options.security == nil, options.events.isElsewhere {
            logger.warning(
                "events leave this machine without keys: anyone on the way can read them",
                metadata: ["events": "\(options.events)"])
        }
    }

    mutating func tell(_ sockets: WorkerSockets, now: Duration, _ logger: Logger) {
        if isExposed, nextExposureWarning.map({ now >= $0 }) ?? true {
            nextExposureWarning = now + Self.exposureInterval
            logger.warning(
                "--insecure-bind: whoever reaches the addresses can send jobs and read answers")
        }
        if let refusals = sockets.refusals, refusals.count != refused {
            refused = refusals.count
            logger.warning(
                "connections were refused: their keys are not allowed",
                metadata: [
                    "refused_total": "\(refusals.count)", "last_key": "\(refusals.last.key)",
                    "last_address": "\(refusals.last.address)",
                ])
        }
        let failure = sockets.keyFailure
        if failure != keyFailure {
            keyFailure = failure
            if let failure {
                logger.warning(
                    "the allowed keys could not be read again; those read before stay in force",
                    metadata: ["reason": "\(failure)"])
            }
        }
    }
}

/// Tells what was refused or left out, in totals since the worker's start.
struct LossReport {
    struct Totals: Equatable {
        /// Messages that were not LLQ/1.
        var malformed = 0
        /// Messages of several frames.
        var multipart = 0
        /// Answers that a full outbox did not take.
        var unreadAnswers = 0
    }

    private var told = Totals()

    mutating func tell(_ totals: Totals, _ logger: Logger) {
        guard totals != told else { return }
        told = totals
        logger.warning(
            "messages were refused or left out",
            metadata: [
                "malformed_total": "\(totals.malformed)",
                "multipart_total": "\(totals.multipart)",
                "unread_answers_total": "\(totals.unreadAnswers)",
            ])
    }
}
