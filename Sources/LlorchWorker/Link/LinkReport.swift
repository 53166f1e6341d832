// What a worker logs about its sockets: who is let in, who is not, and which messages were lost.
// Each report logs a change once; every heartbeat asks both reports.
// SPDX-License-Identifier: Apache-2.0

import LlorchLog
import LlorchQueue
import Logging

/// Tells who may connect: at the start, and what changes afterwards.
struct AccessLog {
    private var report: AccessReport

    init(_ options: WorkerOptions, _ logger: Logger) {
        report = AccessReport(exposure: options.isExposed ? .worker : nil)
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
        for news in report.news(of: sockets.access, now: now) {
            logger.warning(news.message, values: news.fields.map { ($0.name, $0.value) })
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
