"""The server's token on the command line and over HTTP, and where it may listen without one."""
# SPDX-License-Identifier: Apache-2.0

import os
import subprocess
import time

import httpx
import pytest

from harness import PATIENCE, Process, Worker, run
from PythonSupport.ports import free_ports
from shim import Shim, assert_stream

TOKEN = "5ecret-Token+/="


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_text(TOKEN + "\n", encoding="ascii")
    return path


def authorized(token=TOKEN):
    return {"Authorization": f"Bearer {token}"}


def test_only_who_has_the_token_gets_in(start, shim_binary, worker_binary, tiny_model, token_file):
    shim = start(Shim, shim_binary, arguments=["--token-file", token_file])
    worker = start(Worker, worker_binary, name="w1", events_port=shim.events_port, model=tiny_model)
    shim.until_healthy()  # asked without a token
    assert httpx.get(f"{shim.url}/livez", timeout=PATIENCE).status_code == 200
    body = {"job_id": "a", "prompt": "Hello", "max_tokens": 4}
    for headers in ({}, authorized("x"), authorized(TOKEN[:-1]), {"Authorization": TOKEN}):
        for path in ("/execute", "/cancel", "/cancel/a"):
            answer = httpx.post(f"{shim.url}{path}", json=body, headers=headers, timeout=PATIENCE)
            assert answer.status_code == 401, (path, headers)
            assert answer.headers["www-authenticate"] == "Bearer"
            (error,) = answer.json()["errors"]
            assert (error["field"], error["constraint"]) == ("authorization", "bearer_token")
    assert "job begins" not in worker.log
    with httpx.stream("POST", f"{shim.url}/execute", json=body, headers=authorized(),
                      timeout=PATIENCE) as answer:
        assert answer.status_code == 200
        text = "".join(answer.iter_text())
    assert "event: end" in text
    answer = httpx.post(f"{shim.url}/cancel/a", headers=authorized(), timeout=PATIENCE)
    assert answer.status_code == 202
    assert TOKEN not in shim.log


def test_a_token_in_the_environment(start, shim_binary, monkeypatch):
    monkeypatch.setenv("LLORCH_API_TOKEN", TOKEN)
    shim = start(Shim, shim_binary)
    shim.until(lambda health: health["status"] == "unhealthy")
    statuses = [httpx.post(f"{shim.url}/cancel/a", headers=headers, timeout=PATIENCE).status_code
                for headers in ({}, authorized())]
    assert statuses == [401, 202]


@pytest.mark.parametrize("content, mode, words", [
    ("", 0o600, "expected a token, found none"), ("\n", 0o600, "expected a token, found none"),
    ("two words", 0o600, "visible ASCII"), (TOKEN, 0o644, "only its owner may read"),
    (None, 0, "No such file"),
], ids=["empty", "a line end", "two words", "readable by all", "missing"])
def test_a_file_that_holds_no_token_ends_the_start(shim_binary, tmp_path, content, mode, words):
    """Rather than listen without one."""
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content, encoding="ascii")
        path.chmod(mode)
    (events,) = free_ports(1)
    done = run(shim_binary, "--port", "0", "--events", f"tcp://127.0.0.1:{events}",
               "--token-file", path)
    error = done.stderr.decode()
    assert done.returncode == 1, done
    assert str(path) in error and words in error
    assert not content or content == "\n" or content not in error


def test_an_empty_token_in_the_environment_ends_the_start(shim_binary):
    (events,) = free_ports(1)
    done = subprocess.run(
        [shim_binary, "--port", "0", "--events", f"tcp://127.0.0.1:{events}"], timeout=PATIENCE, check=False,
        capture_output=True, text=True, env={**os.environ, "LLORCH_API_TOKEN": ""})
    assert done.returncode == 1
    assert "LLORCH_API_TOKEN: expected a token, found none" in done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "host.example"])
def test_beyond_this_machine_it_listens_with_a_token_only(shim_binary, host):
    done = run(shim_binary, "--port", "0", "--host", host)
    assert done.returncode == 2, done
    for word in (f"--host {host}", "refusing", "--token-file"):
        assert word in done.stderr.decode()


@pytest.mark.parametrize("arguments", [["--token-file"], ["--insecure-bind"]], ids=" ".join)
def test_beyond_this_machine(start, shim_binary, token_file, arguments):
    if arguments == ["--token-file"]:
        arguments = [*arguments, token_file]
    port, events = free_ports(2)
    shim = start(Process, [shim_binary, "--host", "0.0.0.0", "--port", port,
                           "--events", f"tcp://127.0.0.1:{events}", *arguments])
    while "listening on" not in shim.log:
        assert shim.is_running(), shim.tail()
    said = "whoever reaches the port can send jobs" in shim.log
    assert said == (arguments == ["--insecure-bind"])
    answer = httpx.post(f"http://127.0.0.2:{port}/cancel/a", timeout=PATIENCE)
    assert answer.status_code == (202 if said else 401)


def test_a_deadline_over_http(start, shim_binary, stub_binary):
    shim = start(Shim, shim_binary)
    start(Worker, stub_binary, name="w1", events_port=shim.events_port,
          arguments=["--engine", "stub:ms=20"])
    shim.until_healthy()
    body = {"job_id": "late", "prompt": "Hello", "max_tokens": 2048}

    def execute(deadline):
        return httpx.post(f"{shim.url}/execute", json=body, timeout=PATIENCE,
                          headers={"X-Deadline": deadline})

    past = execute("2020-01-01T00:00:00Z")
    assert past.status_code == 504
    assert past.json()["errors"][0]["constraint"] == "INFERENCE_TIMEOUT"
    assert execute("tomorrow").status_code == 400
    # In the run: forty seconds of work, and five seconds, in which any machine begins it.
    soon = execute(str(int((time.time() + 5) * 1000)))
    assert soon.status_code == 200
    assert '"code":"INFERENCE_TIMEOUT"' in soon.text
    assert_stream(shim.execute(job_id="next", max_tokens=2))
