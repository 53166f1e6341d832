"""Who is who: two live processes under one name, names that nobody gave, a boot number that went back."""
# SPDX-License-Identifier: Apache-2.0

import time

import httpx
import pytest
import zmq

from harness import PATIENCE, Process, Worker, run, terminate
from PythonSupport.ports import free_ports


def conflicts(health):
    return [worker.get("conflict") for worker in health["workers"]]


def test_two_processes_under_one_name_are_told(shim, start, stub_binary):
    engine = ["--engine", "stub:ms=1"]
    first = start(Worker, stub_binary, name="w1", events_port=shim.events_port, arguments=engine)
    shim.until_healthy()
    start(Worker, stub_binary, name="w1", events_port=shim.events_port, arguments=engine)
    shim.until(lambda health: conflicts(health) == ["two_processes"])
    shim.until_log("two processes have this name")
    assert 'llorch_worker_name_conflict{worker="w1",reason="two_processes"} 1' in \
        httpx.get(f"{shim.url}/metrics", timeout=PATIENCE).text
    # The service goes on with the one that was started last.
    assert shim.execute(job_id="served", max_tokens=4)[-1]["type"] == "end"
    assert "job begins" not in first.log
    terminate(first)
    shim.until(lambda health: conflicts(health) == [None])


def test_a_boot_number_that_went_back_is_told(shim, start, stub_binary):
    """The process before this one was started while the clock was an hour fast, and was killed."""
    with zmq.Context() as context, context.socket(zmq.PUSH) as push:
        push.linger = 0
        push.connect(f"tcp://127.0.0.1:{shim.events_port}")
        push.send_json({
            "v": 1, "type": "heartbeat", "worker": "w1", "boot": int((time.time() + 3600) * 1e6),
            "seq": 0, "state": "idle", "jobs": "tcp://127.0.0.1:9", "control": "tcp://127.0.0.1:9",
            "running": None, "queued": 0, "free": 10})
        shim.until(lambda health: len(health["workers"]) == 1)
    start(Worker, stub_binary, name="w1", events_port=shim.events_port,
          arguments=["--engine", "stub:ms=1"])
    shim.until(lambda health: conflicts(health) == ["boot_went_back"])
    shim.until_log("its boot number is below that of the process before it")


def test_names_that_nobody_gave_do_not_collide(shim, start, stub_binary):
    ports = [free_ports(2), free_ports(2)]
    for jobs, control in ports:
        start(Process, [
            stub_binary, "--engine", "stub:ms=1", "--jobs", f"bind:tcp://127.0.0.1:{jobs}",
            "--control", f"bind:tcp://127.0.0.1:{control}",
            "--events", f"connect:tcp://127.0.0.1:{shim.events_port}"])
    health = shim.until_healthy(2)
    names = {worker["worker_id"] for worker in health["workers"]}
    assert all(any(name.endswith(f"-{jobs}") for name in names) for jobs, _ in ports), names


@pytest.fixture
def begin(worker_binary, tiny_model):
    """A function that starts a worker which has nobody to speak to; it ends by itself or by a signal."""

    def begin(*arguments):
        jobs, control, events = free_ports(3)
        return [worker_binary, "serve", "--model", tiny_model, "--jobs", f"bind:tcp://127.0.0.1:{jobs}",
                "--control", f"bind:tcp://127.0.0.1:{control}",
                "--events", f"connect:tcp://127.0.0.1:{events}", *arguments]

    return begin


def test_a_state_directory_is_made_for_its_owner(begin, start, tmp_path):
    directory = tmp_path / "state"
    worker = start(Process, begin("--state-directory", directory))
    worker.until_log("sockets are open")
    assert terminate(worker) == 0
    assert directory.stat().st_mode & 0o777 == 0o700
    assert int((directory / "boot").read_text()) > 0


@pytest.mark.parametrize("kind", ["no parent", "a file", "below a file"])
def test_a_state_directory_that_cannot_be_used_stops_the_start(begin, tmp_path, kind):
    (tmp_path / "file").write_text("precious")
    directory = {"no parent": tmp_path / "none/state", "a file": tmp_path / "file",
                 "below a file": tmp_path / "file/state"}[kind]
    command = begin("--state-directory", directory)
    done = run(command[0], *command[1:])
    assert done.returncode == 1, done
    said = done.stderr.decode().strip().splitlines()[-1]
    assert said.startswith(f"error: --state-directory {directory} "), said
    assert (tmp_path / "file").read_text() == "precious"
    if kind == "no parent":
        assert "its parent directory must exist" in said
