"""What a run of the feeder amounts to, as figures and as a table."""
# SPDX-License-Identifier: Apache-2.0

import collections

from rich.console import Console
from rich.table import Table


def percentile(values, percent):
    """The nearest rank; 0 of nothing."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else 0.0


def summary(feeder, options, seconds):
    outcomes = collections.Counter(
        job.end.get("stop_reason") or job.end["code"] for job in feeder.done)
    tokens = sum(job.tokens for job in feeder.done)
    first = [1000 * (job.first - job.arrival) for job in feeder.done if job.first]
    whole = [1000 * (job.end["at"] - job.arrival) for job in feeder.done]
    return {
        "jobs": options.jobs, "terminal_events": len(feeder.done), "outcomes": dict(outcomes),
        "unanswered": options.jobs - len(feeder.done), "sent_again": feeder.resent,
        "repeated_terminal_events": feeder.repeated, "workers": len(feeder.pipes),
        "seconds": round(seconds, 3), "jobs_per_second": round(len(feeder.done) / seconds, 2),
        "tokens": tokens, "tokens_per_second": round(tokens / seconds, 1),
        **{f"ttft_ms_p{p}": round(percentile(first, p), 1) for p in (50, 90, 99)},
        **{f"total_ms_p{p}": round(percentile(whole, p), 1) for p in (50, 90, 99)},
    }


def show(figures):
    table = Table(show_header=False, box=None, pad_edge=False)
    outcomes = ", ".join(f"{count} {name}" for name, count in sorted(figures["outcomes"].items()))
    for name, value in (
            ("terminal events", f"{figures['terminal_events']} of {figures['jobs']} jobs: {outcomes}"),
            ("unanswered", figures["unanswered"]), ("sent again", figures["sent_again"]),
            ("workers", figures["workers"]),
            ("throughput", f"{figures['tokens_per_second']:,} tokens/s, "
                           f"{figures['jobs_per_second']:,} jobs/s over {figures['seconds']} s"),
            *((f"{label}, ms", "  ".join(f"p{p} {figures[f'{key}_p{p}']:,}" for p in (50, 90, 99)))
              for label, key in (("first token", "ttft_ms"), ("whole job", "total_ms")))):
        table.add_row(name, str(value))
    Console().print(table)
