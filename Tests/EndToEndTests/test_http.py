"""The shim with real workers: streams, two workers, clients that leave, workers that are killed."""
# SPDX-License-Identifier: Apache-2.0

import concurrent.futures
import signal

import httpx
import pytest

from harness import PATIENCE, Process, run_json_lines, terminate, text_of
from PythonSupport.ports import free_ports
from shim import assert_stream, read_until_tokens


def test_a_stream_of_events(shim, serve, tiny_model, worker_binary):
    serve(tiny_model, "w1")
    shim.until_healthy()
    events = shim.execute(job_id="a1", prompt="Hello", max_tokens=30, seed=9)
    assert_stream(events)
    assert events[0]["job_id"] == "a1"
    assert events[0]["seed"] == 9
    last = run_json_lines(worker_binary, "generate", "--model", tiny_model, "--prompt", "Hello",
                          "--max-tokens", 30, "--seed", 9, "--json")[-1]
    assert text_of(events) == last["text"]


def test_a_refusal_lists_all_that_is_wrong(shim, serve, tiny_model):
    serve(tiny_model, "w1")
    shim.until_healthy()
    answer = httpx.post(f"{shim.url}/execute", timeout=PATIENCE, json={
        "job_id": "", "prompt": "", "max_tokens": 0, "temperature": 3})
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [
        "job_id", "prompt", "max_tokens", "temperature"]
    long = httpx.post(f"{shim.url}/execute", timeout=PATIENCE,
                      json={"job_id": "long", "prompt": " the" * 500, "max_tokens": 4})
    assert long.status_code == 400
    (error,) = long.json()["errors"]
    assert (error["field"], error["constraint"]) == ("prompt", "max_tokens(127)")


def test_no_worker_no_promise(shim):
    shim.until(lambda health: health["status"] == "unhealthy")
    answer = httpx.post(f"{shim.url}/execute", timeout=PATIENCE,
                        json={"job_id": "a", "prompt": "Hello", "max_tokens": 4})
    assert answer.status_code == 503
    assert "retry-after" in answer.headers


def test_two_workers_share_the_jobs(shim, serve, tiny_model):
    workers = [serve(tiny_model, "w1"), serve(tiny_model, "w2")]
    shim.until_healthy(2)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        runs = list(pool.map(
            lambda n: shim.execute(job_id=f"j{n}", prompt=f"Job {n}", max_tokens=60, seed=n), range(64)))
    for events in runs:
        assert_stream(events)
        assert events[-1]["type"] == "end", events[-1]
    begun = [worker.log.count("job begins") for worker in workers]
    assert sum(begun) == 64 and min(begun) >= 8, begun


def test_a_client_that_leaves_cancels_its_job(shim, serve, base_model):
    serve(base_model, "w1")
    shim.until_healthy()
    with shim.stream(job_id="left", max_tokens=900) as events:
        while next(events)["type"] != "token":
            pass
    shim.until(lambda health: health["workers"][0]["state"] == "idle")
    # Some nine hundred tokens were left. How soon it stops: T12 of the fault tests.
    page = httpx.get(f"{shim.url}/metrics", timeout=PATIENCE).text
    assert 'llorch_jobs_total{outcome="CANCELLED"} 1\n' in page, page


def test_cancel_ends_the_stream(shim, serve, base_model):
    serve(base_model, "w1")
    shim.until_healthy()
    with shim.stream(job_id="c1", max_tokens=900) as events:
        while next(events)["type"] != "token":
            pass
        answer = httpx.post(f"{shim.url}/cancel", json={"job_id": "c1"}, timeout=PATIENCE)
        assert answer.status_code == 202
        rest = list(events)
    assert (rest[-1]["type"], rest[-1]["code"]) == ("error", "CANCELLED")


@pytest.mark.parametrize("restarted", [False, True], ids=["another worker", "the same, restarted"])
def test_a_killed_workers_stream_goes_on(shim, serve, base_model, worker_binary, restarted):
    """Its client reads the text that it would have read without the kill."""
    members = dict(prompt="The quick brown fox", max_tokens=60, seed=11)
    whole = run_json_lines(worker_binary, "generate", "--model", base_model, "--prompt",
                           members["prompt"], "--max-tokens", 60, "--seed", 11, "--json")[-1]
    workers = {"w1": serve(base_model, "w1")}
    if not restarted:
        workers["w2"] = serve(base_model, "w2")
    shim.until_healthy(len(workers))
    with shim.stream(job_id="k1", **members) as events:
        heard = [next(events)]
        while sum(event["type"] == "token" for event in heard) < 10:
            heard.append(next(events))
        name, victim = next((n, w) for n, w in workers.items() if "job begins" in w.log)
        victim.signal(signal.SIGKILL)
        victim.wait()
        if restarted:
            serve(base_model, name, ports=(victim.jobs_port, victim.control_port))
        heard += list(events)
    assert_stream(heard)
    assert heard[-1]["type"] == "end", heard[-1]
    assert text_of(heard) == whole["text"]
    assert shim.is_running()
    assert shim.execute(job_id="k2", max_tokens=2)[-1]["type"] == "end"


@pytest.mark.parametrize("pause", ["at once", "when the worker is idle", "after the end"])
def test_a_client_that_comes_back_reads_on(shim, serve, base_model, worker_binary, pause):
    """Its connections' frames, one after the other, are those of a client that never left."""
    members = dict(prompt="The quick brown fox", max_tokens=60, seed=11)
    whole = run_json_lines(worker_binary, "generate", "--model", base_model, "--prompt",
                           members["prompt"], "--max-tokens", 60, "--seed", 11, "--json")[-1]
    serve(base_model, "w1")
    shim.until_healthy()
    members["job_id"] = "back"
    heard = []
    for _ in range(3):
        held = heard[-1]["id"] if heard else None
        with shim.stream(last_event_id=held, **members) as events:
            if pause == "after the end":
                # The whole answer is on its way, of which the client takes some.
                rest = list(events)
                count = next(n for n, e in enumerate(rest) if sum(
                    r["type"] == "token" for r in rest[:n + 1]) == 10) + 1
                heard += rest[:count]
            else:
                heard += read_until_tokens(events, 10)
        if pause == "when the worker is idle":
            shim.until(lambda health: health["workers"][0]["state"] == "idle")
    with shim.stream(last_event_id=heard[-1]["id"], **members) as events:
        heard += list(events)
    assert_stream(heard)
    assert heard[-1]["type"] == "end", heard[-1]
    assert text_of(heard) == whole["text"]
    ids = [event["id"] for event in heard]
    assert ids == sorted(ids) and ids[-1] == heard[-1]["tokens_out"]


def test_a_worker_killed_in_the_absence_of_the_client(shim, serve, base_model, worker_binary):
    members = dict(prompt="The quick brown fox", max_tokens=40, seed=12, job_id="away")
    whole = run_json_lines(worker_binary, "generate", "--model", base_model, "--prompt",
                           members["prompt"], "--max-tokens", 40, "--seed", 12, "--json")[-1]
    worker = serve(base_model, "w1")
    shim.until_healthy()
    with shim.stream(**members) as events:
        heard = read_until_tokens(events, 10)
    worker.signal(signal.SIGKILL)
    worker.wait()
    serve(base_model, "w1", ports=(worker.jobs_port, worker.control_port))
    with shim.stream(last_event_id=heard[-1]["id"], **members) as events:
        heard += list(events)
    assert_stream(heard)
    assert text_of(heard) == whole["text"]


def test_nothing_is_made_up_for_a_stranger_who_comes_back(shim, serve, tiny_model):
    serve(tiny_model, "w1")
    shim.until_healthy()
    shim.execute(job_id="known", seed=1)

    def status(last_event_id, **members):
        answer = httpx.post(
            f"{shim.url}/execute", timeout=PATIENCE, headers={"Last-Event-ID": last_event_id},
            json={"job_id": "known", "prompt": "Hello", "max_tokens": 8, **members})
        fields = [error["field"] for error in answer.json()["errors"]]
        return answer.status_code, fields

    assert status("3", job_id="unknown") == (400, ["Last-Event-ID"])
    assert status("99") == (400, ["Last-Event-ID"])
    assert status("-1") == (400, ["Last-Event-ID"])
    assert status("x") == (400, ["Last-Event-ID"])
    assert status("0", prompt="Other") == (409, ["job_id"])
    assert status("0", seed=2) == (409, ["job_id"])


def test_sigterm_ends_both_cleanly(shim, serve, tiny_model):
    worker = serve(tiny_model, "w1")
    shim.until_healthy()
    assert terminate(worker) == 0
    assert terminate(shim) == 0


def test_a_port_that_is_taken(shim, start, shim_binary):
    shim.until(lambda health: health["status"] == "unhealthy")
    second = start(Process, [shim_binary, "--port", shim.port,
                             "--events", f"bind:tcp://127.0.0.1:{free_ports(1)[0]}"])
    assert second.wait() == 1
    assert str(shim.port) in second.tail(1)
