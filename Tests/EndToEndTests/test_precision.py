"""The precision that a file asks for, and models whose weights no precision holds: what every command says."""
# SPDX-License-Identifier: Apache-2.0

import json
import shutil

import gguf
import numpy as np
import pytest
import safetensors.numpy
from gguf import GGMLQuantizationType as Type

from commands import COMMANDS, assert_one_sentence, command
from harness import run, run_json_lines
from test_gguf import quantized, weights, write

PRECISIONS = ["auto", "f32", "bf16", "q8", "q4"]


def inspect(worker_binary, model, *arguments):
    (facts,) = run_json_lines(worker_binary, "inspect", "--model", model, "--json", *arguments)
    return facts


def stored(kind):
    if kind in (Type.Q8_0, Type.Q4_0):
        return quantized(kind)
    return lambda name, array: (kind, gguf.quants.quantize(array, kind))


@pytest.mark.parametrize(("kind", "precision"), [
    (Type.Q8_0, "q8"), (Type.Q4_0, "q4"), (Type.BF16, "bf16"), (Type.F16, "f32"), (Type.F32, "f32"),
], ids=str)
def test_the_file_decides(worker_binary, make_model, tmp_path, kind, precision):
    directory = make_model()
    path = write(tmp_path / "m.gguf", directory, weights(directory), stored(kind))
    found = inspect(worker_binary, path)
    assert found["precision"] == precision
    assert kind.name in found["precision_reason"]
    assert found | {"precision_reason": ""} == inspect(
        worker_binary, path, "--precision", precision) | {"precision_reason": ""}
    text = run(worker_binary, "inspect", "--model", path).stdout.decode()
    assert f"precision_reason   {found['precision_reason']}" in text


def test_the_log_and_the_heartbeat_say_it(start_worker, dispatcher, make_model, tmp_path):
    directory = make_model()
    path = write(tmp_path / "m.gguf", directory, weights(directory), stored(Type.Q8_0))
    worker = start_worker(path)
    assert dispatcher.attach(worker)["model"]["precision"] == "q8"
    (line,) = [line for line in worker.log.splitlines() if line.endswith("] model is loaded")]
    assert " precision=q8 " in line
    assert 'reason="the matrices are stored in Q8_0"' in line


def broken(directory, copy, name, place, value):
    shutil.copytree(directory, copy)
    tensors = safetensors.numpy.load_file(copy / "model.safetensors")
    tensors[name] = tensors[name].copy()
    tensors[name].flat[place] = value
    safetensors.numpy.save_file(tensors, copy / "model.safetensors")
    return copy


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("name", "at"), [
    ("transformer.wte.weight", "row 2, column 3"), ("transformer.wpe.weight", "row 2, column 3"),
    ("transformer.h.1.mlp.c_fc.weight", "row 0, column 131"), ("transformer.ln_f.bias", "place 50"),
])
def test_a_broken_weight_is_named(worker_binary, make_model, tmp_path, precision, name, at):
    directory = make_model("--hidden", "64", "--heads", "4", "--context", "96")
    place = 50 if "ln_f" in name else 131
    model = broken(directory, tmp_path / "broken", name, place, np.nan)
    done = run(worker_binary, "inspect", "--model", model, "--precision", precision)
    assert_one_sentence(done, f"{model}/model.safetensors: tensor '{name}' has nan at {at}")


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "tokenize"] + ["perplexity", "bench"])
def test_every_command_refuses_a_broken_model(worker_binary, make_model, tmp_path, name):
    model = broken(make_model(), tmp_path / "broken", "transformer.h.0.attn.c_attn.bias", 3, np.inf)
    text = tmp_path / "text.txt"
    text.write_text("Some text to measure.")
    others = {"perplexity": ["perplexity", "--json", "--file", text], "bench": ["bench", "-p", "4", "-n", "2"]}
    done = run(worker_binary, *(others.get(name) or command(name)), "--model", model)
    assert_one_sentence(done, "tensor 'transformer.h.0.attn.c_attn.bias' has inf at place 3")


@pytest.mark.parametrize("arguments", [["--json"], ["--json", "--per-token"], [], ["--against", "q8"]], ids=str)
def test_a_perplexity_that_is_no_number(worker_binary, make_model, tmp_path, arguments):
    """Each weight is a number, and the logits are none."""
    model = broken(make_model(), tmp_path / "broken", "transformer.ln_f.weight", slice(None), 3e38)
    text = tmp_path / "text.txt"
    text.write_text("Some text to measure.")
    done = run(worker_binary, "perplexity", "--model", model, "--file", text, *arguments)
    assert_one_sentence(done, "no probability for token 1")


@pytest.mark.parametrize("kind", [Type.Q8_0, Type.Q4_0], ids=lambda kind: kind.name)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_block_without_a_scale(worker_binary, make_model, tmp_path, kind, precision):
    directory = make_model()
    path = write(tmp_path / "m.gguf", directory, weights(directory), quantized(kind))
    reader = gguf.GGUFReader(path)
    (tensor,) = [tensor for tensor in reader.tensors if tensor.name == "blk.0.ffn_up.weight"]
    data = bytearray(path.read_bytes())
    place = int(tensor.data_offset) + 5 * {Type.Q8_0: 34, Type.Q4_0: 18}[kind]
    data[place:place + 2] = np.float16("nan").tobytes()
    path.write_bytes(data)
    done = run(worker_binary, "inspect", "--model", path, "--precision", precision)
    assert_one_sentence(done, "m.gguf: tensor 'blk.0.ffn_up.weight' has nan at row ")


def test_a_weight_past_the_precision(worker_binary, make_model, tmp_path):
    model = broken(make_model(), tmp_path / "large", "transformer.h.0.mlp.c_proj.weight", 0, 3.4e38)
    for precision in ("bf16", "q8", "q4"):
        done = run(worker_binary, "inspect", "--model", model, "--precision", precision)
        assert_one_sentence(done, "row 0, column 0", f"{precision} holds no weight beyond", "--precision f32")
    assert json.loads(run(worker_binary, "inspect", "--json", "--model", model).stdout)["precision"] == "f32"
