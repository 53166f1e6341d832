"""Leaving: drain, time limit, second signal, the `drain` message, and who is told what.

How soon a worker leaves is a figure of the fault tests: T17 and T17.2.
"""
# SPDX-License-Identifier: Apache-2.0

import signal
import socket

import pytest

from harness import PATIENCE, assert_grammar, assert_no_gaps


@pytest.fixture
def busy(start_worker, dispatcher, base_model):
    """A function: a worker that runs one of four jobs."""

    def begin(drain_timeout, max_tokens):
        worker = start_worker(base_model, arguments=["--drain-timeout", str(drain_timeout)])
        dispatcher.attach(worker)
        jobs = [dispatcher.send("Hello", max_tokens=max_tokens) for _ in range(4)]
        dispatcher.until_job(jobs[0], "token")
        for job in jobs[1:]:
            if not any(e["type"] == "accepted" for e in dispatcher.of(job)):
                dispatcher.until_job(job, "accepted")
        return worker, jobs

    return begin


def leave(worker, dispatcher, jobs):
    """Hears the rest; gives the terminal event of each job."""
    dispatcher.until(lambda e: e["type"] == "bye", what="bye")
    assert worker.wait() == 0
    assert_no_gaps(dispatcher.heard)
    for job in jobs:
        assert_grammar(dispatcher.of(job))
    return [dispatcher.terminals(job)[0] for job in jobs]


def assert_handed_back(terminals):
    for event in terminals:
        assert (event["type"], event.get("code"), event.get("retriable")) == ("error", "DRAINING", True)


def test_sigterm_finishes_the_running_job(busy, dispatcher):
    worker, jobs = busy(drain_timeout=600, max_tokens=20)
    worker.signal(signal.SIGTERM)
    first, *others = leave(worker, dispatcher, jobs)
    assert first["type"] == "end"
    assert_handed_back(others)


def test_a_new_job_is_refused_meanwhile(busy, dispatcher):
    # It must still drain when the late job comes, however long that takes; then it need not go on.
    worker, jobs = busy(drain_timeout=600, max_tokens=900)
    worker.signal(signal.SIGTERM)
    dispatcher.until_job(jobs[1], "error")
    late = dispatcher.send("Too late")
    assert_handed_back([dispatcher.until_job(late, "error", "end")])
    dispatcher.cancel(jobs[0])
    first, *others = leave(worker, dispatcher, jobs)
    assert first.get("code") == "CANCELLED", first
    assert_handed_back(others)


def test_the_running_job_ends_at_the_time_limit(busy, dispatcher):
    worker, jobs = busy(drain_timeout=0.5, max_tokens=900)
    worker.signal(signal.SIGTERM)
    first, *others = leave(worker, dispatcher, jobs)
    assert (first["type"], first["code"], first["retriable"]) == ("error", "SHUTDOWN", True)
    assert_handed_back(others)


def test_a_second_signal_stops_at_once(busy, dispatcher):
    worker, jobs = busy(drain_timeout=600, max_tokens=900)
    worker.signal(signal.SIGTERM)
    dispatcher.until_job(jobs[1], "error")
    worker.signal(signal.SIGINT)
    assert worker.wait() == 0
    # Neither the ten minutes to drain nor nine hundred tokens were waited for: the job did not end.
    assert "leaving" in worker.log
    dispatcher.listen(0)
    assert not any(event["type"] == "end" for event in dispatcher.terminals(jobs[0]))


def test_the_drain_message_does_the_same(busy, dispatcher):
    worker, jobs = busy(drain_timeout=600, max_tokens=20)
    dispatcher.control.send_json({"v": 1, "type": "drain"})
    first, *others = leave(worker, dispatcher, jobs)
    assert first["type"] == "end"
    assert_handed_back(others)


def test_an_idle_worker_leaves_at_once(worker, dispatcher):
    before = len(dispatcher.heard)
    worker.signal(signal.SIGTERM)
    leave(worker, dispatcher, [])
    # Nothing is waited for: it says that it leaves, and leaves.
    assert sum(event["type"] == "heartbeat" and event["state"] == "idle"
               for event in dispatcher.heard[before:]) <= 1


def test_a_worker_that_nobody_listens_to_leaves_too(start_worker, dispatcher, tiny_model):
    worker = start_worker(tiny_model)
    dispatcher.attach(worker)
    dispatcher.close()
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0


def test_the_next_process_tells_which_job_this_one_died_in(
        start_worker, dispatcher, base_model, tmp_path):
    directory = tmp_path / "state"
    directory.mkdir()

    def begin():
        worker = start_worker(base_model, arguments=["--state-directory", str(directory)])
        boots = [event["boot"] for event in dispatcher.heard]
        boot = dispatcher.attach(worker, after=max(boots, default=0))["boot"]
        beats = [event for event in dispatcher.heard
                 if event["type"] == "heartbeat" and event["boot"] == boot]
        return worker, [beat.get("crashed_on") for beat in beats]

    first, told = begin()
    assert set(told) == {None}
    job = dispatcher.send(max_tokens=900)
    dispatcher.until_job(job, "token")
    first.signal(signal.SIGKILL)
    first.wait()
    second, told = begin()
    assert told[0] == job and set(told[1:]) == {None}
    dispatcher.finish(dispatcher.send(max_tokens=1))
    second.signal(signal.SIGKILL)
    second.wait()
    _, told = begin()
    assert set(told) == {None}, "it died idle"


def test_systemd_is_told(start_worker, dispatcher, tiny_model, tmp_path, monkeypatch):
    """As `Type=notify` and `WatchdogSec` ask for: loaded, alive every second, leaving."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        worker = start_worker(tiny_model)

        def until(word):
            told = []
            while word not in told:
                told.append(listener.recv(1024).decode())
            return told

        assert set(until("READY=1")) <= {"WATCHDOG=1", "READY=1"}
        for _ in range(3):
            until("WATCHDOG=1")
        worker.signal(signal.SIGTERM)
        assert set(until("STOPPING=1")) <= {"WATCHDOG=1", "STOPPING=1"}
        assert worker.wait() == 0
