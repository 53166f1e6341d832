"""Output that cannot be written, all or in part: one sentence and exit code 1, from every command."""
# SPDX-License-Identifier: Apache-2.0

import fcntl
import json
import os
import resource
import subprocess

import pytest

from harness import PATIENCE

FULL = b"error: standard output cannot be written: No space left on device\n"
CLOSED = b"error: standard output cannot be written: Broken pipe\n"

COMMANDS = {
    "generate": (["generate", "--prompt", "Hello", "--max-tokens", "2"], None),
    "generate json": (["generate", "--prompt", "Hello", "--max-tokens", "2", "--json"], None),
    "tokenize": (["tokenize"], b"Hello"),
    "tokenize json": (["tokenize", "--json"], b"Hello"),
    "detokenize": (["detokenize"], b"[40, 41]"),
    "detokenize json": (["detokenize", "--json"], b"[40, 41]"),
    "inspect": (["inspect"], None),
    "inspect json": (["inspect", "--json"], None),
    "perplexity": (["perplexity", "--file", "-"], b"Hello, hello."),
    "perplexity json": (["perplexity", "--file", "-", "--json"], b"Hello, hello."),
    "perplexity per token": (["perplexity", "--file", "-", "--per-token"], b"Hello, hello."),
    "bench": (["bench", "-p", "4", "-n", "0", "-r", "1"], None),
    "bench json": (["bench", "-p", "4", "-n", "0", "-r", "1", "--json"], None),
    "bench stdin": (["bench", "--stdin"], b"pp4\n"),
    "bench tokenizer": (["bench", "--tokenizer", "README.md", "-r", "1"], None),
}
WITHOUT_MODEL = {
    "help": ["--help"], "help of a command": ["generate", "--help"], "help as a command": ["help", "keys"],
    "version": ["--version"], "completion": ["--generate-completion-script", "bash"],
}


def run(command, text, stdout, **options):
    return subprocess.run([str(part) for part in command], input=text, stdout=stdout,
                          stderr=subprocess.PIPE, timeout=PATIENCE, check=False, **options)


@pytest.fixture(params=["full", "closed"])
def broken(request):
    """An output that cannot be written, and the sentence that tells so."""
    if request.param == "full":
        with open("/dev/full", "wb") as full:
            yield full, FULL
    else:
        reader, writer = os.pipe()
        os.close(reader)
        yield writer, CLOSED
        os.close(writer)


@pytest.mark.parametrize("name", COMMANDS)
def test_output_that_cannot_be_written(worker_binary, tiny_model, broken, name):
    arguments, text = COMMANDS[name]
    output, sentence = broken
    done = run([worker_binary, *arguments, "--model", tiny_model], text, output)
    assert (done.returncode, done.stderr) == (1, sentence)


@pytest.mark.parametrize("name", WITHOUT_MODEL)
@pytest.mark.parametrize("program", ["worker_binary", "shim_binary", "stub_binary"])
def test_help_that_cannot_be_written(request, program, broken, name):
    if program != "worker_binary" and name in ("help of a command", "help as a command"):
        return
    output, sentence = broken
    done = run([request.getfixturevalue(program), *WITHOUT_MODEL[name]], None, output)
    assert (done.returncode, done.stderr) == (1, sentence)


def test_a_key_that_cannot_be_shown_is_made_all_the_same(worker_binary, broken, tmp_path):
    output, sentence = broken
    done = run([worker_binary, "keys", tmp_path / "a"], None, output)
    assert (done.returncode, done.stderr) == (1, sentence)
    done = run([worker_binary, "keys", "--show", tmp_path / "a"], None, output)
    assert (done.returncode, done.stderr) == (1, sentence)
    assert run([worker_binary, "keys", "--show", tmp_path / "a"], None, subprocess.PIPE).returncode == 0


@pytest.mark.parametrize("limit", [0, 60, 200])
def test_keys_that_cannot_be_written_leave_nothing(worker_binary, tmp_path, limit):
    """A file size limit stands for a full disk."""
    done = run([worker_binary, "keys", tmp_path / "a"], None, subprocess.PIPE,
               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert done.returncode == 1, done
    assert done.stderr.startswith(b"error: ") and done.stderr.count(b"\n") == 1
    assert b"File too large" in done.stderr and not done.stdout
    assert not list(tmp_path.iterdir())


def test_a_reader_that_leaves_early_ends_the_command(worker_binary, tiny_model):
    """As `| head -c 1` does."""
    process = subprocess.Popen([worker_binary, "tokenize", "--model", tiny_model], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdin.write(b"Hello " * 50_000)
    process.stdin.close()
    assert process.stdout.read(1)
    process.stdout.close()
    error = process.stderr.read()
    assert (process.wait(PATIENCE), error) == (1, CLOSED)


def test_a_pipe_that_does_not_block_receives_everything(worker_binary, tiny_model):
    """As programs of an event loop leave the pipes that they share."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    capacity = fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)
    count = 4 * capacity
    process = subprocess.Popen([worker_binary, "detokenize", "--model", tiny_model], stdin=subprocess.PIPE,
                               stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    process.stdin.write(json.dumps([40] * count).encode())
    process.stdin.close()
    with open(reader, "rb") as file:
        assert len(file.read()) == count
    assert (process.wait(PATIENCE), process.stderr.read()) == (0, b"")
