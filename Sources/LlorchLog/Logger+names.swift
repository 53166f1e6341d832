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

    /// A warning whose values were collected where no logger is known.
    package func warning(_ message: String, values: [(name: String, value: String)]) {
        let pairs = values.map { ($0.name, Metadata.Value.string($0.value)) }
        warning("\(message)", metadata: Metadata(pairs) { first, _ in first })
    }
}
