// The metrics that every worker-http worker has, under the names that its collectors look for: this server is such a
// worker to the outside. The names are older than Prometheus' rules for names and do not follow them.
// SPDX-License-Identifier: Apache-2.0

import LlorchProtocol
import LlorchSystem

/// The six families whose names begin with `worker_`.
struct WorkerMetrics {
    private let totals: MetricsTotals
    /// The names under which this server reports itself.
    private let workerIDs: [String]

    init(_ totals: MetricsTotals, workerIDs: [String]) {
        self.totals = totals
        self.workerIDs = workerIDs
    }

    /// How a job ended, in four words.
    private enum Outcome: String, CaseIterable {
        case success
        case error
        case cancelled
        case timeout

        init(_ outcome: JobOutcome) {
            self =
                switch outcome {
                case .end: .success
                case .error(.cancelled): .cancelled
                case .error(.inferenceTimeout): .timeout
                case .error: .error
                }
        }
    }

    func write(to page: inout PrometheusText) {
        page.begin("worker_vram_bytes", .gauge, "Memory of a GPU: always 0.")
        for id in workerIDs { page.sample(0, ("worker_id", id)) }
        page.begin("worker_requests_total", .counter, "Jobs that ended, by how.")
        for outcome in Outcome.allCases {
            let count = totals.outcomes.reduce(0) { sum, entry in
                Outcome(entry.key) == outcome ? sum + entry.value : sum
            }
            page.sample(count, ("outcome", outcome.rawValue))
        }
        page.single(
            "worker_tokens_in_total", .counter, "Tokens of the prompts of jobs that began.",
            totals.promptTokens)
        page.single(
            "worker_tokens_generated_total", .counter,
            "Tokens received for clients, repeats left out.", totals.generatedTokens)
        page.histogram(
            "worker_inference_duration_ms", "From the taking of a job to its end, in milliseconds.",
            totals.duration)
        page.single(
            "worker_uptime_seconds", .counter, "Seconds since this process began.",
            Int(MonotonicClock.now().components.seconds))
    }
}

extension PrometheusText {
    mutating func append(_ metrics: WorkerMetrics) { metrics.write(to: &self) }
}
