// The fields that log lines of both programs share, spelled once.
// SPDX-License-Identifier: Apache-2.0

package import Logging

extension Logger {
    /// A logger whose lines name a worker, as `worker_id`.
    package func named(_ worker: String) -> Logger {
        var logger = self
        logger[metadataKey: "worker_id"] = "\(worker)"
        return logger
    }
}
