"""Cancels and deadlines on the stub engine: T13, T15. On a model that computes: pace_cases.py."""
# SPDX-License-Identifier: Apache-2.0

import time

from PythonSupport.programs import PATIENCE

from .cases import case, percentile
from .dispatcher import Rules


class Cancels:
    """Jobs on workers of the test's choice, and the time from a cancel to the job's terminal event."""

    def __init__(self, run):
        # Nothing is given out by the dispatcher: each job is placed.
        self.dispatcher = run.begin(Rules(window=0, quiet=PATIENCE))
        self.dispatcher.on_event = self.heard
        self.latencies, self.terminals = [], {}
        self._wanted = {}

    def heard(self, event):
        id = event.get("job_id")
        if event["type"] in ("end", "error"):
            self.terminals.setdefault(id, []).append(event.get("code"))
            if id in self._wanted:
                self.latencies.append(time.monotonic() - self._wanted.pop(id))

    def place(self, id, worker, tokens=2_000, **members):
        self.dispatcher.submit(id, tokens, **members)
        job, peer = self.dispatcher.jobs[id], self.dispatcher.peers[worker]
        self.dispatcher.run(
            lambda: self.dispatcher._send_job(job, peer, 1, "placed"), PATIENCE)
        self.dispatcher.waiting.pop(id, None)
        return job

    def cancel(self, id):
        """Gives the seconds that it took."""
        self._wanted[id] = time.monotonic()
        self.dispatcher.cancel(id)
        self.dispatcher.work(0)
        self.dispatcher.run(lambda: id not in self.dispatcher.jobs, PATIENCE)
        return self.latencies[-1]


@case("T13", "cancel latency", smoke=dict(cancels=100))
def cancel_latency(run, cancels=1_000):
    """In each third of them the job is queued, in prefill, or decoding."""
    cancels_made = Cancels(run)
    dispatcher, latencies, terminals = (
        cancels_made.dispatcher, cancels_made.latencies, cancels_made.terminals)
    cancel, place, heard = cancels_made.cancel, cancels_made.place, cancels_made.heard
    run.worker("w1", "stub:ms=5,prefill=2000")
    run.worker("w2", "stub:ms=5")
    dispatcher.until_workers(2)

    for number in range(cancels):
        stage = ("queued", "prefill", "decode")[number % 3]
        id = f"cancel-{run.seed}-{number}"
        if stage == "queued":
            first = place(id + "-ahead", "w1")
            place(id, "w1")
            dispatcher.run(lambda: first.is_running, PATIENCE)
            cancel(id)
            cancel(id + "-ahead")
        else:
            job = place(id, "w1" if stage == "prefill" else "w2")
            dispatcher.run(lambda: job.is_running if stage == "prefill" else job.ids, PATIENCE)
            # Somewhere in it, not at its beginning.
            run.run_for(run.random.uniform(0, 0.05))
            cancel(id)
    # Before the job came, twice, and after its end.
    early = f"cancel-{run.seed}-early"
    peer = dispatcher.peers["w2"]
    message = {"v": 1, "type": "cancel", "job_id": early, "attempt": 1}
    dispatcher._push(peer, "control", message)
    dispatcher.run(lambda: early in terminals, PATIENCE)
    late = []
    dispatcher.on_event = lambda event: late.append(event["type"]) if event.get("job_id") == early else None
    # The answer ended the job here; the worker must refuse a copy that comes late.
    body = {"v": 1, "type": "job", "job_id": early, "attempt": 1, "prompt": "Hello", "max_tokens": 4}
    dispatcher._push(peer, "jobs", body)
    dispatcher.run(lambda: late, PATIENCE)
    run.run_for(0.5)
    after = f"cancel-{run.seed}-after"
    dispatcher.on_event = heard
    dispatcher.rules.acknowledge = False
    place(after, "w2", 2)
    dispatcher.run(lambda: after not in dispatcher.jobs, PATIENCE)
    ended = list(terminals.get(after, []))
    for _ in range(2):
        dispatcher._push(peer, "control", {"v": 1, "type": "cancel", "job_id": after, "attempt": 1})
    dispatcher.run(lambda: len(terminals[after]) >= 3, PATIENCE)
    run.check(ends_only=False)
    run.exactly("cancels answered", len(latencies), cancels + -(-cancels // 3))
    run.at_most("cancel p50", percentile(latencies, 50) * 1000, 30.0, " ms")
    run.at_most("cancel p99", percentile(latencies, 99) * 1000, 100.0, " ms")
    run.at_most("slowest cancel", max(latencies, default=float("inf")) * 1000, 250.0, " ms")
    run.exactly("answers to a job that was cancelled before it came", late, ["error"])
    run.exactly("end, and both cancels after it answered with it", ended + terminals[after][1:],
                [None, None, None])


@case("T15", "deadlines")
def deadlines(run, jobs=2_000):
    dispatcher = run.begin(Rules(window=10_000, quiet=60))
    (worker,) = run.workers(1, "stub:ms=20")
    dispatcher.submit(f"long-{run.seed}", 2_000)
    dispatcher.run(lambda: any(job.ids for job in dispatcher.jobs.values()), 10)
    due, late, wrong, taken = {}, [], [], {}
    times = {f"due-{run.seed}-{n}": run.random.randrange(100, 3_000) for n in range(jobs)}

    def heard(event):
        id = event.get("job_id")
        if id not in times:
            return
        if event["type"] == "accepted":
            due.setdefault(id, time.monotonic() + times[id] / 1000)
        elif event["type"] == "error":
            if event["code"] != "INFERENCE_TIMEOUT":
                wrong.append(event["code"])
            taken.setdefault(id, time.monotonic())
        elif event["type"] != "accepted":
            wrong.append(event["type"])
    dispatcher.on_event = heard
    for id, milliseconds in times.items():
        dispatcher.submit(id, 4, deadline_ms=milliseconds)
    dispatcher.run(lambda: len(dispatcher.jobs) <= 1, 30)
    dispatcher.cancel(f"long-{run.seed}")
    run.finish(10)
    late = [taken[id] - due[id] for id in taken if id in due]
    run.check(ends_only=False)
    run.exactly("deadlines answered", len(late), jobs)
    run.exactly("other answers", wrong[:3], [])
    run.at_most("answered after the time, p99", percentile(late, 99) * 1000, 100.0, " ms")
    run.at_most("slowest", max(late, default=float("inf")) * 1000, 100.0, " ms")
