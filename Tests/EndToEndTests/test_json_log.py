"""The log of the built programs as JSON: what it has in each line, which events, and what it must not have."""
# SPDX-License-Identifier: Apache-2.0

import json
import os
import pty
import re

import pytest

from harness import PATIENCE, Process, Worker, run, terminate
from PythonSupport.ports import free_ports
from shim import Shim

SECRET = "a prompt that no log may have"
# Level, component and so on; every line has them.
ALWAYS = {"timestamp", "level", "component", "message"}


def lines_of(process):
    """Every line of a log but those of standard output, which is in the same file."""
    lines = [line for line in process.log.splitlines() if not line.startswith("listening on ")]
    return [json.loads(line) for line in lines]


def named(lines, event):
    return [line for line in lines if line.get("event") == event]


def test_the_events_and_fields_of_a_job(start, shim_binary, worker_binary, tiny_model, monkeypatch):
    # Standard error is a file here, so that this is JSON.
    monkeypatch.setenv("LLORCH_LOG_FORMAT", "auto")
    shim = start(Shim, shim_binary, arguments=["--worker-id", "w-7"])
    worker = start(Worker, worker_binary, name="w1", events_port=shim.events_port, model=tiny_model)
    shim.until_healthy()
    shim.until_log('"event":"ready"')
    hostile = 'a"}\n{"forged":1'
    events = shim.execute(job_id=hostile, prompt=SECRET, max_tokens=4, stop=[SECRET])
    assert events[-1]["type"] == "end"
    assert terminate(worker) == terminate(shim) == 0

    told = lines_of(worker)
    for line in told:
        assert ALWAYS <= line.keys() and line["component"] == "llorch-worker", line
        assert line["worker_id"] == "w1" and line["model_ref"] == str(tiny_model), line
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["timestamp"])
    order = [line["event"] for line in told if "event" in line]
    assert order == [
        "startup", "model_load_start", *["model_load_progress"] * order.count("model_load_progress"),
        "model_load_complete", "ready", "execute_start", "execute_end", *["shutdown"] * order.count("shutdown")]
    percents = [line["percent"] for line in named(told, "model_load_progress")]
    assert percents == sorted(percents) and percents[-1] == 100 and order[-1] == "shutdown"
    (begin,), (end,) = named(told, "execute_start"), named(told, "execute_end")
    assert begin["job_id"] == end["job_id"] == hostile
    assert begin["correlation_id"] == end["correlation_id"]
    assert (end["tokens_in"], end["tokens_out"]) == (events[0]["prompt_tokens"], 4)
    assert isinstance(end["decode_time_ms"], int)
    (ready,) = named(told, "ready")
    assert ready["vram_bytes"] == 0 and ready["memory_bytes"] > 0

    said = lines_of(shim)
    assert all(ALWAYS <= line.keys() for line in said)
    # The shim is the worker to the outside; of the workers behind it some lines tell under their names.
    assert {line["worker_id"] for line in said if "worker_id" in line} == {"w-7", "w1"}
    for event in ("startup", "ready", "execute_start", "execute_end", "shutdown"):
        assert named(said, event), event
    (opens,) = named(said, "execute_start")
    assert opens["job_id"] == hostile and opens["correlation_id"] == begin["correlation_id"]
    for process in (worker, shim):
        assert SECRET not in process.log and "forged" not in [key for line in lines_of(process) for key in line]


def test_a_refused_request_is_the_event_error(start, shim_binary, monkeypatch):
    monkeypatch.setenv("LLORCH_LOG_FORMAT", "json")
    shim = start(Shim, shim_binary)
    shim.until(lambda health: health["status"] == "unhealthy")
    with pytest.raises(AssertionError):
        shim.execute(job_id="a", prompt=SECRET)
    shim.until_log('"event":"error"')
    (line,) = named(lines_of(shim), "error")
    assert (line["status"], line["code"], line["path"]) == (503, "WORKER_LOST", "/execute")


def test_a_start_that_fails_is_the_event_error(start, shim_binary, worker_binary, tmp_path):
    port, events, other, jobs, control = free_ports(5)
    first = start(Shim, shim_binary, ports=(port, events))
    first.until(lambda health: health["status"] == "unhealthy")
    for command in ([shim_binary, "--port", port, "--events", f"tcp://127.0.0.1:{other}",
                     "--log-format", "json"],
                    [worker_binary, "serve", "--model", tmp_path / "none", "--jobs", f"tcp://127.0.0.1:{jobs}",
                     "--control", f"tcp://127.0.0.1:{control}", "--log-format", "json"]):
        failed = start(Process, command)
        assert failed.wait() == 1
        *lines, sentence = failed.log.splitlines()
        assert sentence.startswith("error: ")
        last = json.loads(lines[-1])
        assert (last["level"], last["event"]) == ("error", "error")
        assert last["message"] == sentence.removeprefix("error: ")


@pytest.mark.parametrize("format, is_json", [("auto", False), ("json", True), ("text", False)])
def test_a_terminal_is_for_people(start, shim_binary, format, is_json):
    reader, writer = pty.openpty()
    try:
        shim = start(Shim, shim_binary, output=writer, arguments=["--log-format", format])
        shim.until(lambda health: health["status"] == "unhealthy")
        assert terminate(shim) == 0
        text = os.read(reader, 65536).decode()
    finally:
        os.close(reader)
        os.close(writer)
    lines = [line for line in text.splitlines() if "startup" in line]
    assert [line.startswith("{") for line in lines] == [is_json]


def test_an_unknown_format_is_refused(worker_binary, monkeypatch):
    done = run(worker_binary, "serve", "--log-format", "xml", seconds=PATIENCE)
    assert done.returncode == 2 and b"--log-format" in done.stderr
    monkeypatch.setenv("LLORCH_LOG_FORMAT", "xml")
    jobs, control = free_ports(2)
    done = run(worker_binary, "serve", "--jobs", f"tcp://127.0.0.1:{jobs}", "--control",
               f"tcp://127.0.0.1:{control}", seconds=PATIENCE)
    assert done.returncode == 1
    assert b"error: LLORCH_LOG_FORMAT=xml: expected one of text, json, auto\n" in done.stderr
