// GET /metrics: the names, in Prometheus' text format. What each metric means: docs/http-api.md.
// Nothing here waits for the queue's thread or a worker.
// SPDX-License-Identifier: Apache-2.0

import HTTPTypes
package import HummingbirdCore
import LlorchProtocol
import LlorchQueue
import NIOCore

/// No label has values that a client chooses, so the number of series depends on the workers only.
package struct MetricsRoute: Sendable {
    let metrics: ShimMetrics
    let serving: Serving
    let connections: ConnectionCounts
    /// This server's own name; empty where it has none.
    let workerID: String

    package init(
        metrics: ShimMetrics, serving: Serving, connections: ConnectionCounts,
        workerID: String = ""
    ) {
        self.workerID = workerID
        self.metrics = metrics
        self.serving = serving
        self.connections = connections
    }

    package func respond() -> Response {
        var page = PrometheusText()
        let totals = metrics.totals
        let workers = serving.snapshot()
        page.append(totals)
        page.append(workers)
        page.append(connections.now)
        page.append(
            WorkerMetrics(
                totals, workerIDs: workerID.isEmpty ? workers.workers.map(\.name) : [workerID]))
        return Response(
            status: .ok, headers: [.contentType: PrometheusText.contentType],
            body: ResponseBody(byteBuffer: ByteBuffer(string: page.text)))
    }
}

extension PrometheusText {
    fileprivate mutating func append(_ totals: MetricsTotals) {
        let counters = totals.queue.counters
        begin(
            "llorch_jobs_total", .counter, "Jobs that ended, by how: end, or the code of the error."
        )
        for outcome in JobOutcome.all {
            sample(totals.outcomes[outcome] ?? 0, ("outcome", outcome.label))
        }
        single("llorch_jobs_running", .gauge, "Jobs that a worker has.", totals.queue.out)
        single("llorch_jobs_waiting", .gauge, "Jobs that wait for a worker.", totals.queue.waiting)
        histogram(
            "llorch_queue_wait_seconds", "From the request to the beginning of the prefill.",
            totals.queueWait)
        histogram(
            "llorch_time_to_first_token_seconds", "From the request to the first token.",
            totals.timeToFirstToken)
        histogram(
            "llorch_inter_token_seconds", "Between one piece of an answer and the next.",
            totals.interToken)
        single(
            "llorch_prompt_tokens_total", .counter, "Tokens of the prompts of jobs that began.",
            totals.promptTokens)
        single(
            "llorch_generated_tokens_total", .counter,
            "Tokens received for clients, repeats left out.",
            totals.generatedTokens)
        histogram(
            "llorch_cancel_seconds",
            "From a cancel, or a client's leaving, to the job's CANCELLED.",
            totals.cancel)
        begin("llorch_redeliveries_total", .counter, "Jobs sent again or to be sent again, by why.")
        sample(counters.movedAfterRestart, ("reason", "worker_restarted"))
        sample(counters.movedAfterSilence, ("reason", "worker_silent"))
        sample(counters.movedAfterBye, ("reason", "worker_left"))
        sample(counters.movedAfterRefusal, ("reason", "refused"))
        sample(counters.resentAfterQuiet, ("reason", "no_news"))
        sample(counters.resentAfterGap, ("reason", "gap"))
        single(
            "llorch_replays_total", .counter,
            "Copies of jobs that a worker answered from memory.", counters.replayed)
        single(
            "llorch_fenced_events_total", .counter,
            "Events ignored: of an old attempt, an old process, or a job that is over.",
            counters.fenced)
        single(
            "llorch_event_gaps_total", .counter, "Holes in the sequence of a worker's events.",
            counters.gaps)
        begin("llorch_rejected_total", .counter, "Requests answered with a refusal, by its code.")
        for code in JobFailure.Code.allCases {
            sample(totals.refusals[code] ?? 0, ("code", code.rawValue))
        }
        single(
            "llorch_worker_boots_total", .counter, "Processes of workers that were heard.",
            counters.boots)
        single("llorch_sse_clients", .gauge, "Event streams that are open.", totals.openStreams)
        // The samples of the workers' side follow in the next function, in the same family.
        begin(
            "llorch_malformed_total", .counter,
            "Messages that could not be read, by who refused them.")
        sample(totals.queue.unreadable, ("side", "shim"), ("worker", ""))
    }

    fileprivate mutating func append(_ connections: ConnectionCounts.Counts) {
        single("llorch_connections", .gauge, "Connections of clients.", connections.open)
        begin(
            "llorch_accept_pauses_total", .counter,
            "Times at which no connection was accepted for a while, by why.")
        for reason in AcceptPace.Reason.allCases {
            sample(connections.pauses[reason] ?? 0, ("reason", reason.rawValue))
        }
    }

    fileprivate mutating func append(_ workers: Serving.Snapshot) {
        for worker in workers.workers {
            guard let malformed = worker.status.malformed else { continue }
            sample(malformed, ("side", "worker"), ("worker", worker.name))
        }
        begin("llorch_outbox_bytes", .gauge, "Events a worker had not sent at its last heartbeat.")
        for worker in workers.workers where workers.isFresh(worker) {
            guard let bytes = worker.status.outboxBytes else { continue }
            sample(bytes, ("worker", worker.name))
        }
        begin(
            "llorch_worker_name_conflict", .gauge,
            "1 while a further process under the worker's name is ignored, by why.")
        for worker in workers.workers {
            for conflict in NameConflict.allCases {
                sample(
                    worker.conflict == conflict ? 1 : 0, ("worker", worker.name),
                    ("reason", conflict.rawValue))
            }
        }
        begin("llorch_worker_up", .gauge, "1 while the worker serves, as healthy in /health.")
        for worker in workers.workers {
            sample(workers.isServing(worker) ? 1 : 0, ("worker", worker.name))
        }
    }
}
