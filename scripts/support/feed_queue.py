"""Give jobs to llorch-workers at a steady rate and report how they were answered.

It is the workers' dispatcher: it binds the events address, finds the workers by their heartbeats, keeps
the jobs that wait, and sends a job again that nothing was heard of (docs/wire-protocol.md, rules 1 to 4).
Start workers first or later. Ends with 0 if every job was answered once and none with an error.

examples:
  scripts/feed-queue --jobs 200 --rate 20
  scripts/feed-queue --jobs 1000 --rate 0 --window 4 --max-tokens 8 --json
  scripts/feed-queue --events tcp://10.0.0.1:5600 --curve-secret-key feed.key_secret --curve-allowed-keys workers/
"""
# SPDX-License-Identifier: Apache-2.0

import argparse
import collections
import json
import os
import sys
import time

import zmq
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from queue_keys import QueueKeys

QUIET, LEASE = 5.0, 10.0  # seconds without news of a job, of a worker


class Job:
    def __init__(self, number, options, arrival):
        self.id = f"feed-{os.getpid()}-{number}"
        self.request = {"prompt": options.prompt, "max_tokens": options.max_tokens,
                        "temperature": options.temperature, "seed": options.seed + number}
        self.arrival = arrival
        self.attempt = 0
        self.worker = self.heard = self.first = self.end = None
        self.tokens = 0


class Feeder:
    """Sockets, who has which job, and what was heard."""

    def __init__(self, options):
        self.options = options
        self.context = zmq.Context()
        self.events = self.context.socket(zmq.PULL)
        self.events.rcvhwm = 0
        self.keys = None
        if options.curve_secret_key:
            self.keys = QueueKeys(
                self.context, options.curve_secret_key, options.curve_allowed_keys)
            self.keys.serve(self.events)
        self.events.bind(options.events)
        self.pipes, self.seen, self.boots, self.rest = {}, {}, {}, {}
        self.waiting, self.sent = collections.deque(), {}
        self.done, self.repeated, self.resent = [], 0, 0

    def hear(self, milliseconds):
        """Takes what has come; waits for it at most so long."""
        while self.events.poll(milliseconds):
            milliseconds = 0
            frame, now = self.events.recv(copy=False), time.monotonic()
            event = json.loads(frame.bytes)
            name = event["worker"]
            if event["boot"] < self.boots.get(name, 0):
                continue
            if event["boot"] > self.boots.get(name, 0):
                self.boots[name] = event["boot"]
                self.give_back(name)
                if self.keys and name in self.pipes:
                    self.pipes.pop(name).close()  # it may have come back with another key
            self.seen[name] = now
            if event["type"] == "heartbeat":
                if name not in self.pipes:
                    self.connect(name, event["jobs"], frame)
                # A worker that loads or leaves gets nothing.
                self.rest[name] = now + (0 if event["state"] in ("idle", "busy") else 2)
            elif "job_id" in event:
                self.hear_of_job(event, now)

    def hear_of_job(self, event, now):
        job = self.sent.get(event["job_id"])
        if job is None or event["attempt"] != job.attempt:
            self.repeated += event["type"] in ("end", "error")
            return
        job.heard = now
        if event["type"] == "token":
            job.first = job.first or now
            job.tokens = max(job.tokens, event["i"] + len(event["ids"]))
        elif event["type"] == "error" and event["retriable"]:
            self.rest[job.worker] = now + 1
            self.waiting.appendleft(self.sent.pop(job.id))
        elif event["type"] in ("end", "error"):
            job.end = event | {"at": now}
            self.done.append(self.sent.pop(job.id))
            self.send(job.worker, {"v": 1, "type": "ack", "job_id": job.id, "attempt": job.attempt})

    def connect(self, name, address, heartbeat):
        pipe = self.context.socket(zmq.PUSH)
        pipe.immediate, pipe.linger, pipe.sndhwm = 1, 0, 16
        if self.keys:
            # Whoever listens there must own the key under which the heartbeat came.
            self.keys.connect(pipe, heartbeat.get("User-Id").encode())
        pipe.connect(address)
        self.pipes[name] = pipe

    def send(self, name, message):
        try:
            self.pipes[name].send_json(message, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def send_job(self, job, name, attempt):
        message = {"v": 1, "type": "job", "job_id": job.id, "attempt": attempt, **job.request}
        if not self.send(name, message):
            return False
        job.worker, job.attempt, job.heard = name, attempt, time.monotonic()
        self.sent[job.id] = job
        return True

    def give_back(self, name):
        for job in [job for job in self.sent.values() if job.worker == name]:
            self.waiting.appendleft(self.sent.pop(job.id))

    def dispatch(self):
        now = time.monotonic()
        for name in self.pipes:
            if now - self.seen[name] > LEASE:
                self.give_back(name)
        for job in list(self.sent.values()):
            if now - job.heard > QUIET:
                self.resent += self.send_job(job, job.worker, job.attempt)
        load = collections.Counter(job.worker for job in self.sent.values())
        for name in sorted(self.pipes, key=load.__getitem__):
            if now - self.seen[name] > LEASE or self.rest.get(name, 0) > now:
                continue
            while self.waiting and load[name] < self.options.window:
                if not self.send_job(self.waiting[0], name, self.waiting[0].attempt + 1):
                    break
                self.waiting.popleft()
                load[name] += 1


def feed(options, progress):
    feeder = Feeder(options)
    begin, made, last = time.monotonic(), 0, 0
    task = progress.add_task("waiting for a worker", total=options.jobs, rate="")
    while not feeder.pipes:
        if time.monotonic() - begin > options.timeout:
            raise SystemExit(f"feed-queue: no worker was heard on {options.events} "
                             f"within {options.timeout:.0f} s")
        feeder.hear(200)
    begin = progress_at = time.monotonic()
    while len(feeder.done) < options.jobs and time.monotonic() - begin < options.timeout:
        now = time.monotonic()
        due = options.jobs if not options.rate else int((now - begin) * options.rate) + 1
        while made < min(due, options.jobs):
            feeder.waiting.append(Job(made, options, now))
            made += 1
        feeder.dispatch()
        feeder.hear(10)
        if now - progress_at > 0.2:
            tokens = sum(job.tokens for job in feeder.done) + sum(j.tokens for j in feeder.sent.values())
            rate = f"{(tokens - last) / (now - progress_at):,.0f} tokens/s"
            last, progress_at = tokens, now
            progress.update(task, completed=len(feeder.done), rate=rate, description=(
                f"{len(feeder.pipes)} workers, {len(feeder.waiting)} wait, {len(feeder.sent)} out"))
    progress.update(task, completed=len(feeder.done))
    return feeder, time.monotonic() - begin


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


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/feed-queue", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=100, help="how many (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=10, metavar="PER_SECOND",
                        help="jobs arriving a second, 0 for all at once (default: %(default)s)")
    parser.add_argument("--window", type=int, default=1,
                        help="jobs a worker may have at a time (default: %(default)s)")
    parser.add_argument("--events", default="tcp://127.0.0.1:5600", metavar="ADDRESS",
                        help="what the workers' --events connects to (default: %(default)s)")
    parser.add_argument("--curve-secret-key", metavar="FILE",
                        help="this feeder's keys, from `llorch-worker keys`; turns CURVE on")
    parser.add_argument("--curve-allowed-keys", metavar="PATH",
                        help="the workers' public keys: a file, or a directory of *.key files")
    parser.add_argument("--prompt", default="To be, or not to be")
    parser.add_argument("--max-tokens", type=int, default=32)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0, help="of the first job; each next one adds 1")
    parser.add_argument("--timeout", type=float, default=600, help="seconds (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="the summary as one JSON object")
    options = parser.parse_args()
    if options.jobs < 1 or options.window < 1 or options.rate < 0:
        parser.error("--jobs and --window must be at least 1, --rate at least 0")
    if bool(options.curve_secret_key) != bool(options.curve_allowed_keys):
        parser.error("--curve-secret-key and --curve-allowed-keys need each other")
    return options


def main():
    options = arguments()
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"),
               TextColumn("{task.fields[rate]}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        feeder, seconds = feed(options, progress)
    figures = summary(feeder, options, seconds)
    if feeder.keys:
        feeder.keys.stop()
    feeder.context.destroy(linger=100)
    print(json.dumps(figures)) if options.json else show(figures)
    good = all(job.end["type"] == "end" for job in feeder.done)
    return 0 if good and not figures["unanswered"] and not figures["repeated_terminal_events"] else 1


if __name__ == "__main__":
    sys.exit(main())
