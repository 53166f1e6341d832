"""The limits that starters of worker-http workers set, and POST /shutdown, from the built programs."""
# SPDX-License-Identifier: Apache-2.0

import httpx
import pytest

from harness import PATIENCE, Worker
from shim import Shim, assert_stream, read_until_tokens

TOKEN = "5ecret"


@pytest.fixture
def begin(start, shim_binary, stub_binary):
    """A function: a shim with these arguments and a worker whose tokens take some milliseconds."""

    def begin(*arguments, token_milliseconds=5):
        shim = start(Shim, shim_binary, arguments=arguments)
        start(Worker, stub_binary, name="w1", events_port=shim.events_port,
              arguments=["--engine", f"stub:ms={token_milliseconds}"])
        shim.until_healthy()
        return shim

    return begin


def post(shim, path="/execute", headers=None, **members):
    return httpx.post(f"{shim.url}{path}", timeout=PATIENCE, headers=headers,
                      json={"job_id": "a", "prompt": "Hello", **members})


def test_tokens_that_a_job_may_ask_for(begin):
    shim = begin("--max-tokens-out", "8", "--max-tokens-in", "1000")
    answer = post(shim, max_tokens=9, temperature=3)
    assert answer.status_code == 400
    assert answer.json()["errors"] == [
        {"field": "max_tokens", "constraint": "range(1..=8)",
         "message": "max_tokens must be at most 8 (got 9)", "value": "9"},
        {"field": "temperature", "constraint": "range(0.0..=2.0)",
         "message": "temperature must be at most 2.0 (got 3)", "value": "3"}]
    for members in ({"max_tokens": 8}, {}):
        # The default of the interface, 2048, is cut to the limit.
        with shim.stream(job_id=f"j{len(members)}", **{"max_tokens": 8, **members}) as events:
            assert list(events)[-1]["tokens_out"] == 8
    with httpx.stream("POST", f"{shim.url}/execute", timeout=PATIENCE,
                      json={"job_id": "none", "prompt": "Hello"}) as response:
        assert '"tokens_out":8,' in "".join(response.iter_text())


def test_tokens_that_a_prompt_may_have(begin):
    shim = begin("--max-tokens-in", "10", token_milliseconds=100)
    short = shim.execute(job_id="short", prompt="Hello", max_tokens=2)
    assert short[-1]["type"] == "end" and short[0]["prompt_tokens"] <= 10
    answer = post(shim, prompt="0123456789 " * 5, max_tokens=50)
    if answer.status_code == 200:
        # On a busy machine the stream is opened before the worker has counted.
        assert "event: error" in answer.text and "event: token" not in answer.text
        assert '"code":"CONTEXT_OVERFLOW"' in answer.text
    else:
        assert answer.status_code == 400, answer.text
        (error,) = answer.json()["errors"]
        assert (error["field"], error["constraint"]) == ("prompt", "max_tokens(10)")
        assert answer.json()["code"] == "CONTEXT_OVERFLOW"
    assert "--max-tokens-in" in answer.text
    # The worker was told to end it, and is free for the next.
    assert shim.execute(job_id="next", max_tokens=2)[-1]["type"] == "end"


def test_a_job_ends_at_the_time_limit(begin):
    shim = begin("--inference-timeout-sec", "1", token_milliseconds=50)
    events = shim.execute(job_id="long", max_tokens=2048)
    assert_stream(events)
    assert (events[-1]["type"], events[-1]["code"]) == ("error", "INFERENCE_TIMEOUT")
    page = httpx.get(f"{shim.url}/metrics", timeout=PATIENCE).text
    assert 'worker_requests_total{outcome="timeout"} 1\n' in page
    # A deadline that is later does not make the limit longer.
    with httpx.stream("POST", f"{shim.url}/execute", timeout=PATIENCE,
                      headers={"X-Deadline": "2199-01-01T00:00:00Z"},
                      json={"job_id": "later", "prompt": "Hello", "max_tokens": 2048}) as response:
        assert '"code":"INFERENCE_TIMEOUT"' in "".join(response.iter_text())


@pytest.fixture
def guarded(begin, tmp_path):
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_text(TOKEN, encoding="ascii")
    return begin("--token-file", path, "--drain-timeout", "600", token_milliseconds=20)


def shut_down(shim, content=b"", token=TOKEN, method="POST"):
    return httpx.request(method, f"{shim.url}/shutdown", timeout=PATIENCE, content=content,
                         headers={"Authorization": f"Bearer {token}"})


def test_a_shutdown_over_http_drains(guarded):
    assert shut_down(guarded, token="x").status_code == 401
    assert shut_down(guarded, method="GET").status_code == 405
    assert shut_down(guarded, method="GET").headers["allow"] == "POST"
    for body in (b"[]", b'{"a":1}', b"{}{}", b"null", b"\xff"):
        answer = shut_down(guarded, body)
        assert answer.status_code == 400, body
        (error,) = answer.json()["errors"]
        assert (error["field"], error["constraint"]) == ("body", "empty")
    assert shut_down(guarded, b" " * 2_000).status_code == 413
    assert guarded.is_running()
    with httpx.stream("POST", f"{guarded.url}/execute", timeout=PATIENCE,
                      headers={"Authorization": f"Bearer {TOKEN}"},
                      json={"job_id": "a", "prompt": "Hello", "max_tokens": 50}) as response:
        lines = response.iter_lines()
        while not next(lines).startswith("event: token"):
            pass
        answer = shut_down(guarded, b" {} ")
        assert answer.status_code == 202 and answer.json() == {"status": "shutting_down"}
        # As after SIGTERM: what runs may end, and no new job is taken.
        guarded.until_log("draining")
        rest = "\n".join(lines)
    assert "event: end" in rest
    assert guarded.wait() == 0


def test_an_empty_body_is_enough(guarded):
    assert shut_down(guarded).status_code == 202
    assert guarded.wait() == 0


def test_without_a_token_there_is_no_such_path(begin):
    shim = begin()
    for method in ("POST", "GET"):
        assert httpx.request(method, f"{shim.url}/shutdown", timeout=PATIENCE).status_code == 404
    with shim.stream(job_id="a", max_tokens=3) as events:
        read_until_tokens(events, 1)
    assert shim.is_running()


def test_a_hundred_jobs_leave_no_memory_behind(start, shim_binary, worker_binary, tiny_model):
    shim = start(Shim, shim_binary)
    worker = start(Worker, worker_binary, name="w1", events_port=shim.events_port, model=tiny_model)
    shim.until_healthy()

    def run(count, prefix):
        for number in range(count):
            assert shim.execute(job_id=f"{prefix}{number}", max_tokens=8)[-1]["type"] == "end"

    # What is kept of each job, and what an allocator holds for later, is there after some of them.
    run(50, "warm")
    before = [process.memory() for process in (worker, shim)]
    run(100, "job")
    gained = [process.memory() - base for process, base in zip((worker, shim), before)]
    assert all(gain < 4 << 20 for gain in gained), gained
