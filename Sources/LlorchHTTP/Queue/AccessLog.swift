// Writes into the log whom the queue's addresses did not let in, in the words of LlorchQueue's AccessReport.
// SPDX-License-Identifier: Apache-2.0

import LlorchLog
import LlorchQueue
import Logging

/// Logs the news of an `AccessReport`, which has news at most once a second.
struct AccessLog {
    private let logger: Logger
    private var access: AccessReport

    init(isExposed: Bool, logger: Logger) {
        self.logger = logger
        access = AccessReport(exposure: isExposed ? .dispatcher : nil)
    }

    mutating func report(on client: DispatcherClient, now: Duration) {
        for news in access.news(of: client.access, now: now) {
            logger.warning(news.message, values: news.fields.map { ($0.name, $0.value) })
        }
    }
}
