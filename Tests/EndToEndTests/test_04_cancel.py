"""Cancelling at every stage of a job, and how long it takes."""
# SPDX-License-Identifier: Apache-2.0

import random
import time

import pytest

from harness import assert_grammar
from test_01_happy_path import LONG_PROMPT


def cancelled(dispatcher, job):
    """Sends the cancel; gives seconds to the terminal event."""
    begin = time.monotonic()
    dispatcher.cancel(job)
    event = dispatcher.until_job(job, "end", "error")
    assert event.get("code") == "CANCELLED", event
    assert not event["retriable"]
    return event["at"] - begin


@pytest.fixture
def base_worker(start_worker, dispatcher, base_model):
    worker = start_worker(base_model)
    dispatcher.attach(worker)
    return worker


def test_a_queued_job(base_worker, dispatcher):
    running = dispatcher.send("Hello", max_tokens=500)
    queued = dispatcher.send("Hello", max_tokens=500)
    dispatcher.until_job(queued, "accepted")
    cancelled(dispatcher, queued)
    assert_grammar(dispatcher.of(queued))
    cancelled(dispatcher, running)
    assert_grammar(dispatcher.of(running))


def test_an_unknown_job_is_answered_and_never_run(worker, dispatcher):
    cancelled(dispatcher, "never-sent")
    dispatcher.send("Hello", job_id="never-sent")
    assert dispatcher.until_job("never-sent", "end", "error")["code"] == "CANCELLED"
    assert "job begins" not in worker.log


def test_a_finished_job_answers_with_its_own_end(worker, dispatcher):
    job = dispatcher.send("Hello")
    end = dispatcher.finish(job)[-1]
    dispatcher.cancel(job)
    again = dispatcher.until_job(job, "end", "error")
    assert (again["type"], again["tokens_out"]) == ("end", end["tokens_out"])


def test_the_next_job_is_as_if_nothing_had_been(base_worker, dispatcher):
    members = dict(max_tokens=5, seed=1)
    before = dispatcher.finish(dispatcher.send("The next", **members))
    job = dispatcher.send(LONG_PROMPT, max_tokens=20)
    dispatcher.until_job(job, "started")
    cancelled(dispatcher, job)
    after = dispatcher.finish(dispatcher.send("The next", **members))
    assert [e["ids"] for e in before if e["type"] == "token"] == [
        e["ids"] for e in after if e["type"] == "token"]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_latency_in_prefill_decode_and_queue(base_worker, dispatcher, count):
    choice = random.Random(4)
    taken = {"prefill": [], "decode": [], "queued": []}
    for _ in range(count * 2 // 5):
        job = dispatcher.send(LONG_PROMPT, max_tokens=8)
        dispatcher.until_job(job, "started")
        dispatcher.listen(choice.uniform(0, 0.4))
        assert not any(event["type"] == "token" for event in dispatcher.of(job))
        taken["prefill"].append(cancelled(dispatcher, job))
    for _ in range(count * 2 // 5):
        job = dispatcher.send("Hello", max_tokens=900)
        for _ in range(choice.randrange(1, 6)):
            dispatcher.until_job(job, "token")
        dispatcher.listen(choice.uniform(0, 0.03))
        taken["decode"].append(cancelled(dispatcher, job))
    running = dispatcher.send("Hello", max_tokens=900)
    dispatcher.until_job(running, "token")
    for _ in range(count // 5):
        job = dispatcher.send("Hello")
        dispatcher.until_job(job, "accepted")
        taken["queued"].append(cancelled(dispatcher, job))
    cancelled(dispatcher, running)
    for stage, times in taken.items():
        print(f"{stage}: n {len(times)}, {figures(times)}")
    every = sorted(sum(taken.values(), []))
    print(f"all: n {len(every)}, {figures(every)}")
    assert percentile(every, 99) <= 0.100


def percentile(times, percent):
    """The nearest rank."""
    ordered = sorted(times)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def figures(times):
    return ", ".join(
        f"{name} {1000 * value:.1f} ms" for name, value in
        [("p50", percentile(times, 50)), ("p99", percentile(times, 99)), ("max", max(times))])
