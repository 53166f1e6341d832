"""What a process may find missing: its arguments, descriptors 0 to 2, memory. Nothing opens or crashes by that."""
# SPDX-License-Identifier: Apache-2.0

import json
import os
import re
import resource
import signal
import subprocess
import time

import pytest

from harness import PATIENCE
from PythonSupport.ports import free_ports
from PythonSupport.programs import serve_command
from PythonSupport.surroundings import preload_that_hides_arguments, without_proc

NO_OUTPUT = b"error: standard output cannot be written: Bad file descriptor\n"


def start(command, **options):
    return subprocess.Popen([str(part) for part in command], **options)


def finish(command, text=b"", **options):
    options.setdefault("stdout", subprocess.PIPE)
    return subprocess.run([str(part) for part in command], input=text, stderr=subprocess.PIPE,
                          timeout=PATIENCE, check=False, **options)


# Arguments

@pytest.fixture(params=["without /proc", "with a preloaded library"])
def unseen(request, tmp_path):
    """A function that runs a program whose arguments Swift's library does not find."""

    def run(command, text=b""):
        if request.param == "without /proc":
            return finish(without_proc(command), text)
        library = preload_that_hides_arguments(tmp_path)
        return finish(command, text, env={**os.environ, "LD_PRELOAD": str(library)})

    return run


def test_arguments_are_obeyed_where_swift_does_not_see_them(unseen, worker_binary, tiny_model):
    command = [worker_binary, "tokenize", "--json", "--model", tiny_model]
    seen = finish(command, b"Hello")
    found = unseen(command, b"Hello")
    assert (found.returncode, found.stdout) == (0, seen.stdout), found.stderr
    assert json.loads(seen.stdout)


def test_no_option_that_closes_is_lost(unseen, shim_binary, stub_binary, tmp_path):
    done = unseen([shim_binary, "--port", "0", "--token-file", tmp_path / "nothing"])
    assert done.returncode == 1 and b"nothing: No such file" in done.stderr, done
    done = unseen([stub_binary, "--no-such-option"])
    assert done.returncode == 2 and b"--no-such-option" in done.stderr, done


@pytest.mark.parametrize("arguments, status", [
    (["--token-file", ""], 1), (["--token-file", "/"], 1), (["--token-file=--insecure-bind"], 1),
    (["--token-file", "--insecure-bind"], 1), (["--curve-allowed-keys", "--insecure-bind"], 2),
    (["--", "--token-file", "x"], 2), (["--token-file"], 2), (["--host", ""], 2),
    (["--host", "0.0.0.0"], 2), (["--allowed-host", "--token-file=x"], 2), (["--port", "-1"], 2),
], ids=lambda value: " ".join(value) if isinstance(value, list) else None)
def test_an_option_that_closes_is_never_left_out(shim_binary, arguments, status):
    (events,) = free_ports(1)
    done = finish([shim_binary, "--port", "0", "--events", f"bind:tcp://127.0.0.1:{events}", *arguments])
    assert done.returncode == status, done
    assert done.stderr and not done.stdout


def test_an_empty_token_is_refused(shim_binary):
    (events,) = free_ports(1)
    done = finish([shim_binary, "--port", "0", "--events", f"bind:tcp://127.0.0.1:{events}"],
                  env={**os.environ, "LLORCH_API_TOKEN": ""})
    assert done.returncode == 1 and b"LLORCH_API_TOKEN: expected a token" in done.stderr, done


# Descriptors

def closing(command, numbers):
    redirections = " ".join(f"{number}>&-" for number in numbers)
    return ["sh", "-c", f'exec "$@" {redirections}', "sh", *command]


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (1, 2), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("program", ["worker", "shim"])
def test_nothing_is_opened_at_a_closed_descriptor(
        request, program, closed, worker_binary, shim_binary, tiny_model):
    jobs, control, events = free_ports(3)
    if program == "worker":
        command = serve_command(
            worker_binary, name="w1", jobs=f"bind:tcp://127.0.0.1:{jobs}",
            control=f"bind:tcp://127.0.0.1:{control}", events=f"connect:tcp://127.0.0.1:{events}",
            arguments=["--model", tiny_model])
        port = jobs
    else:
        command = [shim_binary, "--port", jobs, "--events", f"bind:tcp://127.0.0.1:{events}"]
        port = jobs
    process = start(closing(command, closed), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL)
    request.addfinalizer(process.kill)
    wait_for_port(process, port)
    for number in closed:
        assert os.readlink(f"/proc/{process.pid}/fd/{number}") == "/"
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == 0


def wait_for_port(process, port):
    """Until the process listens there."""
    wanted = f":{port:04X} "
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        assert process.poll() is None, f"it ended with status {process.returncode}"
        with open(f"/proc/{process.pid}/net/tcp", encoding="ascii") as table:
            if any(wanted in line and line.split()[3] == "0A" for line in table):
                return
    raise AssertionError(f"nothing listens at {port}")


def test_a_command_without_its_streams_says_so(worker_binary, tiny_model):
    command = [worker_binary, "tokenize", "--model", tiny_model]
    done = finish(closing(command, [1]), b"Hello")
    assert (done.returncode, done.stderr) == (1, NO_OUTPUT)
    done = finish(closing(command, [0]))
    assert done.returncode == 1
    assert done.stderr == b"error: standard input: cannot be read: Bad file descriptor\n"
    done = finish(closing([worker_binary, "--version"], [1]))
    assert (done.returncode, done.stderr) == (1, NO_OUTPUT)
    assert finish(closing([worker_binary, "--version"], [0, 2])).returncode == 0


# Memory

@pytest.fixture(scope="module")
def addresses(worker_binary, tiny_model):
    """Bytes of addresses that the program takes with the tiny model, to 1 MiB."""
    low, high = 0, 1 << 12
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if limited(worker_binary, tiny_model, middle).returncode == 0 else (
            middle, high)
    return high


def limited(worker_binary, model, mebibytes, *arguments):
    limit = mebibytes << 20
    return finish(
        [worker_binary, "generate", "--model", model, "--prompt", "Hello", "--max-tokens", "2", *arguments],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))


def assert_memory_sentence(done):
    text = done.stderr.decode()
    assert done.returncode == 1, done
    assert re.fullmatch(r"error: not enough memory: [^\n]*\d+ [^\n]*\n", text), text


def test_too_little_memory_is_a_sentence(worker_binary, base_model, addresses):
    # Half a gigabyte of weights: the block for them is refused, before anything is read.
    done = limited(worker_binary, base_model, addresses + 200)
    assert_memory_sentence(done)
    needed, left = map(int, re.findall(r"block of (\d+) bytes is needed, one of (\d+)", done.stderr.decode())[0])
    assert needed > 400 << 20 > left > 100 << 20


def test_memory_that_ends_anywhere_is_a_sentence(worker_binary, tiny_model, addresses):
    """A little less than what is enough: arrays and strings of the language fail, not only large blocks."""
    sentences = 0
    for less in range(1, 8):
        done = limited(worker_binary, tiny_model, addresses - less)
        if done.returncode == 127:
            break  # the system's loader has no room for the libraries
        assert_memory_sentence(done)
        sentences += 1
    assert sentences >= 2


def test_threads_that_cannot_be_started_are_a_sentence(worker_binary, tiny_model, addresses):
    """The queue's library has threads, each with a stack."""
    jobs, control, events = free_ports(3)
    command = serve_command(
        worker_binary, name="w1", jobs=f"bind:tcp://127.0.0.1:{jobs}",
        control=f"bind:tcp://127.0.0.1:{control}", events=f"connect:tcp://127.0.0.1:{events}",
        arguments=["--model", tiny_model, "--log-level", "critical"])
    limit = (addresses + 2) << 20
    done = finish(command, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
    assert done.returncode == 1, done
    assert done.stderr.startswith(b"error: no") and done.stderr.count(b"\n") == 1, done.stderr


def test_a_text_beyond_the_memory_is_a_sentence(worker_binary, tiny_model, addresses, tmp_path):
    path = tmp_path / "text"
    with open(path, "wb") as file:
        file.truncate(300 << 20)
    limit = (addresses + 60) << 20
    done = finish([worker_binary, "perplexity", "--model", tiny_model, "--file", path],
                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
    assert_memory_sentence(done)
