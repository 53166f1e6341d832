"""What people get wrong: a sentence that helps, and the promised exit code."""
# SPDX-License-Identifier: Apache-2.0

import json
import shutil
import struct

import pytest

from commands import COMMANDS, assert_one_sentence, command
from harness import LONG_PROMPT, run

def test_a_prompt_beyond_the_context(worker, dispatcher):
    job = dispatcher.send(LONG_PROMPT)
    error = dispatcher.finish(job)[-1]
    assert (error["code"], error["retriable"]) == ("CONTEXT_OVERFLOW", False)
    assert "128" in error["message"]
    assert dispatcher.finish(dispatcher.send("Short"))[-1]["type"] == "end"


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_model_path(worker_binary, tmp_path, name):
    done = run(worker_binary, *command(name), "--model", tmp_path / "nowhere")
    assert_one_sentence(done, "nowhere")


@pytest.mark.parametrize("arguments", [
    ["--no-such-option"], ["no-such-command"], ["generate"], ["generate", "--prompt"],
    ["generate", "--prompt", "a", "--ids", "1"], ["generate", "--prompt", "a", "--max-tokens", "x"],
    ["generate", "--prompt", "a", "--precision", "f8"], ["generate", "--prompt", "a", "--isa", "mmx"],
    ["serve", "--drain-timeout", "-1"], ["serve", "--worker-id", ""], ["bench", "-p", "1,x"],
    ["perplexity"],
], ids=" ".join)
def test_a_bad_command_line(worker_binary, arguments):
    done = run(worker_binary, *arguments)
    assert done.returncode == 2, done
    assert done.stderr and not done.stdout


@pytest.mark.parametrize("arguments", [
    ["--jobs", "nonsense"], ["--jobs", "bind:tcp://127.0.0.1:99999"], ["--events", "http://x:1"],
], ids=" ".join)
def test_an_address_that_is_none(worker_binary, tiny_model, arguments):
    done = run(worker_binary, "serve", "--model", tiny_model, *arguments)
    assert done.returncode == 2, done
    assert f"{arguments[0]} {arguments[1]}: " in done.stderr.decode()


def test_a_port_that_is_taken(worker, worker_binary, tiny_model):
    done = run(worker_binary, "serve", "--model", tiny_model,
               "--jobs", f"bind:tcp://127.0.0.1:{worker.jobs_port}")
    assert_one_sentence(done, str(worker.jobs_port))


def test_help_and_version_of_every_command(worker_binary, shim_binary):
    for arguments in ([], ["serve"], ["generate"], ["tokenize"], ["detokenize"], ["perplexity"],
                      ["bench"], ["inspect"], ["keys"]):
        done = run(worker_binary, *arguments, "--help")
        assert done.returncode == 0
        assert b"USAGE" in done.stdout
    assert run(shim_binary, "--help").returncode == 0
    assert run(shim_binary, "--port", "x").returncode == 2


def cut(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def change_header(path, change):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8: 8 + length])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length:])


def first_tensor(header):
    return header[next(name for name in header if name != "__metadata__")]


def change_configuration(directory, **members):
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | members))


DAMAGES = {
    "weights cut in half": lambda d: cut(d / "model.safetensors", 0.5),
    "weights cut in the header": lambda d: cut(d / "model.safetensors", 0.001),
    "weights empty": lambda d: cut(d / "model.safetensors", 0),
    "weights missing": lambda d: (d / "model.safetensors").unlink(),
    "header length of 2^63": lambda d: (d / "model.safetensors").write_bytes(
        struct.pack("<Q", 1 << 63) + (d / "model.safetensors").read_bytes()[8:]),
    "header is noise": lambda d: (d / "model.safetensors").write_bytes(
        struct.pack("<Q", 64) + bytes(range(64)) * 9),
    "tensor missing": lambda d: change_header(
        d / "model.safetensors", lambda h: h.pop("transformer.wpe.weight")),
    "tensor of another shape": lambda d: change_header(
        d / "model.safetensors", lambda h: first_tensor(h).update(shape=[1, 1])),
    "offsets beyond the end": lambda d: change_header(
        d / "model.safetensors", lambda h: first_tensor(h).update(data_offsets=[0, 1 << 60])),
    "configuration is no JSON": lambda d: (d / "config.json").write_text("{"),
    "configuration missing": lambda d: (d / "config.json").unlink(),
    "another architecture": lambda d: change_configuration(d, model_type="llama"),
    "more layers than there are": lambda d: change_configuration(d, n_layer=3),
    "heads that do not divide": lambda d: change_configuration(d, n_head=7),
    "a negative size": lambda d: change_configuration(d, n_embd=-64),
    "a size beyond memory": lambda d: change_configuration(d, n_positions=1 << 60),
    "vocabulary missing": lambda d: (d / "vocab.json").unlink(),
    "merges are noise": lambda d: (d / "merges.txt").write_bytes(bytes(range(256))),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_model(worker_binary, tiny_model, tmp_path, damage):
    directory = tmp_path / "damaged"
    shutil.copytree(tiny_model, directory)
    DAMAGES[damage](directory)
    done = run(worker_binary, *command("generate"), "--model", directory)
    assert_one_sentence(done)
    print(done.stderr.decode().strip())


def test_a_worker_with_a_damaged_model_says_goodbye(start_worker, dispatcher, tiny_model, tmp_path):
    directory = tmp_path / "damaged"
    shutil.copytree(tiny_model, directory)
    cut(directory / "model.safetensors", 0.5)
    worker = start_worker(directory)
    dispatcher.until(lambda e: e["type"] == "bye", what="bye")
    assert worker.wait() == 1
    assert "model.safetensors" in worker.tail(1)
