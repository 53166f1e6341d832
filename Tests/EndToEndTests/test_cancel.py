"""Cancelling at every stage of a job. How long it takes is a figure of the fault tests: T13 and T13.2."""
# SPDX-License-Identifier: Apache-2.0

import random

import pytest

from harness import LONG_PROMPT, assert_grammar


def cancelled(dispatcher, job):
    """Sends the cancel and waits for the job's terminal event, which must be the answer."""
    dispatcher.cancel(job)
    event = dispatcher.until_job(job, "end", "error")
    assert event.get("code") == "CANCELLED", event
    assert not event["retriable"]


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


def test_answers_come_inside_a_prefill(base_worker, dispatcher):
    """Between a job's `started` and its first token there is one prefill. A worker that looked at its sockets only
    between two steps could answer nothing there.
    """
    inside = number = 0
    # On a machine where the sender is kept waiting an answer may come late; not each time.
    while inside < 3 and number < 20:
        number += 1
        job = dispatcher.send(LONG_PROMPT, max_tokens=1)
        dispatcher.until_job(job, "started")
        dispatcher.cancel(f"unknown-{number}")
        dispatcher.until_job(f"unknown-{number}", "error")
        inside += not any(event["type"] == "token" for event in dispatcher.of(job))
        dispatcher.finish(job)
    print(f"{inside} of {number} answers came inside the prefill")
    assert inside >= 3


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_every_cancel_is_answered_in_prefill_decode_and_queue(base_worker, dispatcher, count):
    choice = random.Random(4)
    without_a_token = 0
    for _ in range(count * 2 // 5):
        # The prefill is followed by more tokens than a slow machine makes before the cancel comes.
        job = dispatcher.send(LONG_PROMPT[:4 * 900], max_tokens=100)
        dispatcher.until_job(job, "started")
        cancelled(dispatcher, job)
        assert_grammar(dispatcher.of(job))
        without_a_token += not any(event["type"] == "token" for event in dispatcher.of(job))
    for _ in range(count * 2 // 5):
        job = dispatcher.send("Hello", max_tokens=900)
        for _ in range(choice.randrange(1, 6)):
            dispatcher.until_job(job, "token")
        cancelled(dispatcher, job)
        assert_grammar(dispatcher.of(job))
    running = dispatcher.send("Hello", max_tokens=900)
    dispatcher.until_job(running, "token")
    for _ in range(count // 5):
        job = dispatcher.send("Hello")
        dispatcher.until_job(job, "accepted")
        cancelled(dispatcher, job)
        # It never ran: the job before it still does.
        assert not any(event["type"] == "started" for event in dispatcher.of(job))
        assert not dispatcher.terminals(running)
    cancelled(dispatcher, running)
    print(f"{without_a_token} of {count * 2 // 5} were cancelled before their first token")
    assert without_a_token >= 1
