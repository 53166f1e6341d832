"""SIGINT, SIGTERM and SIGHUP end every command, as process 1 of a container too; services drain first.

How a worker drains: test_shutdown.py.
"""
# SPDX-License-Identifier: Apache-2.0

import os
import pty
import signal
import subprocess
import time

import pytest

from harness import PATIENCE
from PythonSupport.ports import free_ports
from PythonSupport.programs import serve_command
from PythonSupport.surroundings import as_process_1, child_of

ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
# Each goes on until it is ended: it computes, or waits for its input.
ENDLESS = {
    "bench": ["bench", "-p", "64", "-n", "0", "-r", "100000000"],
    "bench --stdin": ["bench", "--stdin"],
    "tokenize": ["tokenize"],
    "detokenize": ["detokenize"],
    "generate": ["generate", "--prompt-file", "-"],
    "perplexity": ["perplexity", "--file", "/dev/stdin"],
}


@pytest.fixture
def start(request):
    """A function that starts a command whose input stays open."""

    def begin(command, **options):
        options.setdefault("stdin", subprocess.PIPE)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.DEVNULL)
        process = subprocess.Popen([str(part) for part in command], **options)

        def end():
            process.kill()
            process.communicate()

        request.addfinalizer(end)
        return process

    return begin


def send_until_ended(process, pid, number):
    """Sends a signal again and again: one that comes before the program handles it is lost to process 1."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass
        try:
            return process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError(f"signal {number} does not end {process.args}")


@pytest.mark.parametrize("name", ENDLESS)
def test_a_command_dies_by_the_signal(start, worker_binary, tiny_model, name):
    for number in ENDING:
        process = start([worker_binary, *ENDLESS[name], "--model", tiny_model])
        process.send_signal(number)
        assert process.wait(PATIENCE) == -number


@pytest.mark.parametrize("name", ["bench", "tokenize"])
def test_process_1_ends_too(start, worker_binary, tiny_model, name):
    for number in ENDING:
        process = start(as_process_1([worker_binary, *ENDLESS[name], "--model", tiny_model]))
        assert send_until_ended(process, child_of(process, PATIENCE), number) == 128 + number


@pytest.mark.parametrize("is_process_1", [False, True], ids=["", "process 1"])
@pytest.mark.parametrize("program", ["worker", "shim"])
def test_services_drain(start, worker_binary, shim_binary, tiny_model, program, is_process_1):
    for number in ENDING:
        jobs, control, events = free_ports(3)
        command = serve_command(
            worker_binary, name="w1", jobs=f"bind:tcp://127.0.0.1:{jobs}",
            control=f"bind:tcp://127.0.0.1:{control}", events=f"connect:tcp://127.0.0.1:{events}",
            arguments=["--model", tiny_model]
        ) if program == "worker" else [shim_binary, "--port", "0", "--events",
                                       f"bind:tcp://127.0.0.1:{events}"]
        process = start(as_process_1(command) if is_process_1 else command, stderr=subprocess.PIPE)
        word = b"sockets are open" if program == "worker" else b"listening"
        stream = process.stderr if program == "worker" else process.stdout
        while line := stream.readline():
            if word in line:
                break
        os.kill(child_of(process, PATIENCE) if is_process_1 else process.pid, number)
        assert process.wait(PATIENCE) == 0
        if program == "worker":
            assert b"leaving" in process.stderr.read()


def test_a_hangup_is_ignored_where_it_was(start, worker_binary, tiny_model):
    """As under nohup."""
    process = start([worker_binary, "tokenize", "--json", "--model", tiny_model],
                    preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.stdin.write(b"Hel")
    process.stdin.flush()
    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate(b"lo", timeout=PATIENCE)
    assert process.returncode == 0 and out


def test_a_blocked_signal_ends_a_command_all_the_same(start, worker_binary, tiny_model):
    process = start([worker_binary, "tokenize", "--model", tiny_model],
                    preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ENDING))
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE) == -signal.SIGTERM


def test_the_progress_line_is_cleared(start, worker_binary, tiny_model):
    ours, theirs = pty.openpty()
    process = start([worker_binary, *ENDLESS["bench"], "--model", tiny_model], stderr=theirs)
    os.close(theirs)
    shown = b""
    while b"pp64 " not in shown:
        shown += os.read(ours, 4096)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) == -signal.SIGINT
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:
        pass  # the terminal's other end is closed
    os.close(ours)
    assert shown.endswith(b"\r\x1b[2K"), shown[-80:]


def test_a_second_signal_ends_the_shim_at_once(start, shim_binary, stub_binary):
    port, jobs, control, events = free_ports(4)
    shim = start([shim_binary, "--port", port, "--events", f"bind:tcp://127.0.0.1:{events}",
                  "--drain-timeout", "600"], stderr=subprocess.PIPE)
    start(serve_command(
        stub_binary, name="w1", jobs=f"bind:tcp://127.0.0.1:{jobs}",
        control=f"bind:tcp://127.0.0.1:{control}", events=f"connect:tcp://127.0.0.1:{events}",
        arguments=["--engine", "stub:ms=1000"]))
    assert b"listening" in shim.stdout.readline()
    client = start(["curl", "-sN", "--retry", "100", "--retry-all-errors", "--retry-delay", "1",
                    f"http://127.0.0.1:{port}/execute", "-H", "Content-Type: application/json",
                    "-d", '{"job_id":"a","prompt":"x","max_tokens":600}'])
    assert client.stdout.readline(), "no event came"
    shim.send_signal(signal.SIGTERM)
    while line := shim.stderr.readline():
        if b"draining" in line:
            break
    shim.send_signal(signal.SIGTERM)
    assert shim.wait(PATIENCE) == -signal.SIGTERM
