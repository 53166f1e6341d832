"""Habits of command lines: values that begin with a dash, `-` and pipes as files, names of any bytes."""
# SPDX-License-Identifier: Apache-2.0

import json
import os
import shutil
import subprocess
import threading

import pytest

from harness import PATIENCE

GREEDY = ["--max-tokens", "3", "--temperature", "0", "--json"]


def run(*command, text=b"", **options):
    return subprocess.run([part if isinstance(part, bytes) else str(part) for part in command],
                          input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE,
                          check=False, **options)


def last_event(done):
    """Without the times that were measured."""
    assert done.returncode == 0, done.stderr
    event = json.loads(done.stdout.splitlines()[-1])
    return {name: value for name, value in event.items() if not name.endswith("_ms")}


@pytest.fixture
def generate(worker_binary, tiny_model):
    def generate(*arguments, **options):
        return run(worker_binary, "generate", "--model", tiny_model, *GREEDY, *arguments, **options)

    return generate


# Dashes

@pytest.mark.parametrize("prompt", ["- one", "--json", "--", "-", "---", "-1", "--model=x", "-n"])
def test_a_prompt_may_begin_with_a_dash(generate, prompt):
    assert last_event(generate("--prompt", prompt)) == last_event(generate(f"--prompt={prompt}"))


@pytest.mark.parametrize("stop", ["---", "--", "-", "- x", "--stop"])
def test_a_stop_sequence_may_begin_with_a_dash(generate, stop):
    assert last_event(generate("--prompt", "a", "--stop", stop, "--stop", "x"))["type"] == "end"


@pytest.mark.parametrize("option, words", [
    ("--seed", "--seed -1: expected a whole number, 0 to 18446744073709551615"), ("--max-tokens", "max_tokens"),
    ("--temperature", "temperature"), ("--top-k", "top_k"), ("--top-p", "top_p"), ("--min-p", "min_p"),
    ("--repetition-penalty", "repetition_penalty"), ("--chunk", "--chunk must be at least 1"),
    ("--ids", "--ids must be numbers"),
])
def test_a_number_below_its_range_is_told_its_range(generate, option, words):
    done = generate(*([] if option == "--ids" else ["--prompt", "a"]), option, "-1")
    assert done.returncode in (1, 2) and not done.stdout
    assert words in done.stderr.decode(), done.stderr


@pytest.mark.parametrize("arguments", [
    ["bench", "-r", "-1"], ["bench", "-p", "-5"], ["bench", "-n", "-5"], ["bench", "-d", "-5"],
    ["bench", "--document-bytes", "-5"], ["perplexity", "--file", "x", "--tokens", "-1"],
    ["perplexity", "--file", "x", "--stride", "-1"], ["serve", "--drain-timeout", "-1"], ["serve", "--chunk", "-1"],
], ids=" ".join)
def test_no_number_is_missing(worker_binary, arguments):
    done = run(worker_binary, *arguments)
    assert done.returncode == 2
    assert "issing" not in done.stderr.decode(), done.stderr


# Pipes

@pytest.mark.parametrize("path", ["-", "/dev/stdin", "/proc/self/fd/0"])
def test_standard_input_is_a_file(generate, worker_binary, tiny_model, path):
    expected = last_event(generate("--prompt", "Hello"))
    assert last_event(generate("--prompt-file", path, text=b"Hello")) == expected
    for arguments in (["perplexity", "--file", path], ["bench", "-r", "1", "--tokenizer", path]):
        done = run(worker_binary, *arguments, "--model", tiny_model, text=b"Some text.")
        assert done.returncode == 0 and done.stdout, done.stderr


def test_a_named_pipe_is_a_file(generate, tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    threading.Thread(target=lambda: path.write_bytes(b"Hello"), daemon=True).start()
    assert last_event(generate("--prompt-file", path)) == last_event(generate("--prompt", "Hello"))


def test_a_file_of_unknown_length_is_bounded(generate):
    done = generate("--prompt-file", "/dev/zero")
    assert (done.returncode, done.stderr) == (1, b"error: /dev/zero: is longer than 1048576 bytes\n")
    assert last_event(generate("--prompt-file", "-", text=b"a" * 50))["type"] == "end"


@pytest.mark.parametrize("path, words", [
    ("/", b"error: /: is a directory, expected a file\n"),
    ("/nowhere", b"error: /nowhere: does not exist\n"),
])
def test_what_is_no_file_is_named(generate, path, words):
    assert generate("--prompt-file", path).stderr == words


def test_a_directory_as_standard_input_is_named(worker_binary, tiny_model):
    directory = os.open("/", os.O_RDONLY)
    done = subprocess.run([worker_binary, "tokenize", "--model", tiny_model], stdin=directory,
                          capture_output=True, timeout=PATIENCE, check=False)
    os.close(directory)
    assert (done.returncode, done.stderr) == (
        1, b"error: standard input: is a directory, expected a file\n")


# Bytes

NAME = b"caf\xe9 \xf4\x8f\xbe\x80 \xc3\xa9"


def test_names_are_bytes(generate, worker_binary, tiny_model, tmp_path):
    folder = os.path.join(os.fsencode(tmp_path), NAME)
    shutil.copytree(os.fsencode(tiny_model), folder)
    prompt = os.path.join(folder, b"prompt\xff")
    with open(prompt, "wb") as file:
        file.write(b"Hello")
    done = run(worker_binary, "generate", *GREEDY, "--model", folder, "--prompt-file", prompt)
    assert last_event(done) == last_event(generate("--prompt", "Hello"))
    done = run(worker_binary, "generate", *GREEDY, b"--model=" + folder, b"--prompt-file=" + prompt)
    assert last_event(done) == last_event(generate("--prompt", "Hello"))
    assert run(worker_binary, "keys", os.path.join(folder, b"k\xff")).returncode == 0
    assert os.path.exists(os.path.join(folder, b"k\xff.key_secret"))


def test_a_name_of_bytes_is_shown(worker_binary, tmp_path):
    done = run(worker_binary, "inspect", "--model", b"/nowhere/caf\xe9")
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: /nowhere/caf\\xE9: "), done.stderr


@pytest.mark.parametrize("arguments, words", [
    ([b"--prompt", b"caf\xe9"], r"argument 7, 'caf\xE9', is not UTF-8"),
    ([b"--prompt=a", b"--stop", b"\xff"], r"argument 8, '\xFF', is not UTF-8"),
    ([b"--prompt=caf\xe9"], r"argument 6, '--prompt=caf\xE9', is not UTF-8"),
    ([b"--caf\xe9"], r"'--caf\xE9', is not UTF-8"),
])
def test_a_text_that_is_no_text_is_refused(worker_binary, arguments, words):
    done = run(worker_binary, "generate", *GREEDY[:-1], *arguments)
    assert done.returncode == 2 and not done.stdout
    assert words in done.stderr.decode(), done.stderr
