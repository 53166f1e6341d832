"""The callback that tells a worker-http manager that this worker is ready, from the built programs."""
# SPDX-License-Identifier: Apache-2.0

import json

import pytest

from harness import PATIENCE, Process, Worker, run, terminate
from manager import Manager
from PythonSupport.ports import free_ports
from shim import Shim

WORKER_ID = "worker-5f0c1f4e-8f0a-4b7e-9a55-0d2a3a1b4c5d"


@pytest.fixture
def manager(request):
    manager = Manager(*getattr(request, "param", (200,)))
    yield manager
    manager.close()


@pytest.fixture
def begin(start, shim_binary, stub_binary):
    """A function: a shim with these arguments and a worker of it."""

    def begin(*arguments):
        shim = start(Shim, shim_binary, arguments=["--worker-id", WORKER_ID, *arguments])
        start(Worker, stub_binary, name="w1", events_port=shim.events_port)
        return shim

    return begin


def test_the_callback_says_all_that_any_manager_looks_for(begin, manager):
    shim = begin("--callback-url", manager.url("/ready?token=x&a=%20b"), "--model", "models/gpt2")
    call = manager.call()
    assert call["path"] == "/ready?token=x&a=%20b", "exactly as given"
    assert call["type"] == "application/json"
    memory = call["body"].pop("memory_bytes")
    assert call["body"] == {
        "worker_id": WORKER_ID, "model_ref": "models/gpt2", "vram_bytes": 0,
        "memory_architecture": "cpu", "worker_type": "cpu", "capabilities": ["text-gen"],
        "uri": f"http://localhost:{shim.port}"}
    # The port was open and a worker served when the manager was told.
    assert call["health"]["status"] == "healthy"
    assert call["health"]["memory_bytes"] == memory
    shim.until_log("] ready")
    assert "token=x" not in shim.log
    # The stub's model has another name.
    assert "another model than --model says" in shim.log
    assert manager.calls.empty(), "told once"
    assert terminate(shim) == 0


@pytest.mark.parametrize("manager", [(500, 302, 404, 204)], indirect=True)
def test_any_2xx_is_success_and_nothing_else(begin, manager):
    shim = begin("--callback-url", manager.url(), "--callback-host", "127.0.0.1")
    calls = [manager.call() for _ in range(4)]
    shim.until_log("] ready")
    assert {call["path"] for call in calls} == {"/v2/internal/workers/ready"}, "no redirect is followed"
    assert len({json.dumps(call["body"], sort_keys=True) for call in calls}) == 1
    assert calls[0]["body"]["uri"] == f"http://127.0.0.1:{shim.port}"
    assert calls[0]["body"]["model_ref"] == calls[0]["health"]["model"], "the worker's own name"
    assert shim.log.count("the callback was not taken") == 3
    assert manager.calls.empty()
    assert terminate(shim) == 0


@pytest.mark.parametrize("manager", [(503,)], indirect=True)
def test_a_callback_that_nobody_takes_ends_the_process(begin, manager):
    shim = begin("--callback-url", manager.url())
    assert shim.wait() == 1
    calls = [manager.calls.get_nowait() for _ in range(7)]
    assert len(calls) == 7 and manager.calls.empty()
    (line,) = [line for line in shim.log.splitlines() if line.startswith("error: ")]
    assert line == (f"error: --callback-url {manager.url()}: not taken in 7 attempts; "
                    "the last one: status 503")


def test_nobody_is_told_before_a_worker_serves(start, shim_binary, manager):
    shim = start(Shim, shim_binary, arguments=[
        "--worker-id", WORKER_ID, "--callback-url", manager.url()])
    shim.until(lambda health: health["status"] == "unhealthy")
    assert terminate(shim) == 0, "it waits for a worker, and leaves when it is asked to"
    assert manager.calls.empty()


def test_the_url_of_tests_is_not_called(begin):
    shim = begin("--callback-url", "http://localhost:9999/ready")
    shim.until_log("] ready")
    assert "no callback is made: the URL is that of tests" in shim.log
    assert terminate(shim) == 0


@pytest.mark.parametrize("url", [
    "https://localhost:9200/ready", "ftp://a/", "localhost:9200", "", "http://", "http://user:pw@a/",
    "http://a:0/", "http://a:65536/", "http://a/#b", "http://a b/", "http://é/", "http://[::1/",
])
def test_any_other_url_is_refused_at_the_start(shim_binary, url):
    done = run(shim_binary, "--port", "0", "--worker-id", "w", "--callback-url", url, seconds=PATIENCE)
    assert done.returncode == 2
    assert f"--callback-url {url}: expected http://HOST" in done.stderr.decode()


def test_a_manager_must_know_who_is_ready(shim_binary):
    done = run(shim_binary, "--port", "0", "--callback-url", "http://a/", seconds=PATIENCE)
    assert done.returncode == 2 and b"--callback-url needs --worker-id" in done.stderr
    done = run(shim_binary, "--port", "0", "--worker-id", "", seconds=PATIENCE)
    assert done.returncode == 2 and b"--worker-id : expected a name" in done.stderr


def test_a_port_that_nobody_listens_at_is_named(start, shim_binary, stub_binary):
    """The command line of pool-managerd as it stands, all of it taken."""
    closed, port, events = free_ports(3)
    shim = start(Process, [
        shim_binary, "--worker-id", WORKER_ID, "--model", "/models/gpt2", "--gpu-device", "0",
        "--port", port, "--callback-url", f"http://127.0.0.1:{closed}/ready", "--max-tokens-in", "512",
        "--max-tokens-out", "256", "--inference-timeout-sec", "60",
        "--events", f"tcp://127.0.0.1:{events}"])
    start(Worker, stub_binary, name="w1", events_port=events)
    assert shim.wait() == 1
    assert "--gpu-device has no effect" in shim.log
    assert "not taken in 7 attempts; the last one: Connection refused" in shim.log
