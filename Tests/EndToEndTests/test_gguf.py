"""GGUF files written by llama.cpp's own Python package: the same model as the directory they are made of.

`perplexity --json --per-token` prints every probability with all its digits, and the digest of `inspect`
is over the bits of every weight: equal text means equal bits.
"""
# SPDX-License-Identifier: Apache-2.0

import json
import shutil
import struct

import gguf
import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
from gguf import GGMLQuantizationType as Type

from commands import assert_one_sentence, command
from harness import run, run_json_lines
from PythonSupport.programs import ROOT

TEXT = (ROOT / "models/shakespeare/validation.txt").read_bytes()[:1500]
PARTS = {"wte": "token_embd", "wpe": "position_embd", "ln_f": "output_norm", "lm_head": "output",
         "ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
         "ln_2": "ffn_norm", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"}
# Rows of 64 and 256 values are whole blocks.
SHAPES = {
    "f32": ("--layers", "3", "--hidden", "63", "--heads", "7", "--inner", "101", "--context", "96"),
    "f16": ("--dtype", "f16", "--untied"),
    "bf16": ("--dtype", "bf16"),
}


def name_in_gguf(name):
    part, kind = name.removeprefix("transformer.").rsplit(".", 1)
    if part.startswith("h."):
        _, layer, part = part.split(".", 2)
        return f"blk.{layer}.{PARTS[part]}.{kind}"
    return f"{PARTS[part]}.{kind}"


def is_transposed(name):
    return name.startswith("transformer.h.") and name.endswith(".weight") and ".ln_" not in name


def weights(directory):
    """Float arrays as a GGUF has them: a row for each output."""
    tensors = safetensors.torch.load_file(directory / "model.safetensors")
    arrays = {name: tensor.float().numpy() for name, tensor in tensors.items()}
    return {name: np.ascontiguousarray(array.T) if is_transposed(name) else array
            for name, array in arrays.items()}


def write(path, directory, arrays, stored):
    """`stored` gives the type of a tensor and what is written of it."""
    config = json.loads((directory / "config.json").read_text())
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_name("made by a test")
    writer.add_context_length(config["n_positions"])
    writer.add_embedding_length(config["n_embd"])
    writer.add_feed_forward_length(config["n_inner"] or 4 * config["n_embd"])
    writer.add_block_count(config["n_layer"])
    writer.add_head_count(config["n_head"])
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    ids = json.loads((directory / "vocab.json").read_text(encoding="utf-8"))
    tokens = sorted(ids, key=ids.get)
    kinds = [gguf.TokenType.CONTROL if token == "<|endoftext|>" else gguf.TokenType.NORMAL
             for token in tokens]
    merges = (directory / "merges.txt").read_text(encoding="utf-8").split("\n")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([merge for merge in merges if merge and not merge.startswith("#version")])
    writer.add_eos_token_id(config["eos_token_id"])
    for name, array in arrays.items():
        kind, data = stored(name, array)
        writer.add_tensor(name_in_gguf(name), data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def as_floats(name, array):
    return Type.F32, array


def quantized(kind):
    def stored(name, array):
        if array.ndim == 1 or "wpe" in name:
            return as_floats(name, array)
        if kind == Type.Q6_K:
            return kind, random_q6(array.shape)
        return kind, gguf.quants.quantize(array, kind)
    return stored


def random_q6(shape):
    """gguf reads Q6_K only, so the blocks are drawn: any bits are values, with a bearable scale."""
    choice = np.random.default_rng(7)
    blocks = choice.integers(0, 256, (*shape[:-1], shape[-1] // 256, 210), np.uint8)
    scales = np.full(blocks.shape[:-1] + (1,), 2e-5, "<f2")
    blocks[..., 208:] = scales.view(np.uint8)
    return blocks.reshape(*shape[:-1], -1)


def perplexity(worker_binary, model, tmp_path):
    file = tmp_path / "text.txt"
    file.write_bytes(TEXT)
    done = run(worker_binary, "perplexity", "--model", model, "--file", file, "--json", "--per-token",
               "--precision", "f32")
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.count(b",") > 200
    return done.stdout


def inspect(worker_binary, model):
    (facts,) = run_json_lines(worker_binary, "inspect", "--model", model, "--json")
    return facts


@pytest.mark.parametrize("dtype", SHAPES)
def test_the_same_model_as_the_directory(worker_binary, make_model, tmp_path, dtype):
    directory = make_model(*SHAPES[dtype])
    kind = Type[dtype.upper()]
    path = write(tmp_path / "small.gguf", directory, weights(directory),
                 lambda name, array: (kind, gguf.quants.quantize(array, kind)))
    assert perplexity(worker_binary, path, tmp_path) == perplexity(worker_binary, directory, tmp_path)
    ours, theirs = inspect(worker_binary, path), inspect(worker_binary, directory)
    differing = {key for key in ours if ours[key] != theirs[key]}
    assert differing == {"name", "digest"}
    assert ours["name"] == "small"
    for name in (["tokenize", "--json"], ["tokenize"]):
        found, expected = (run(worker_binary, *name, "--model", model, input=TEXT)
                           for model in (path, directory))
        assert found.stdout == expected.stdout and found.returncode == 0
    ids = run(worker_binary, "tokenize", "--model", path, "--json", input=TEXT).stdout
    assert run(worker_binary, "detokenize", "--model", path, input=ids).stdout == TEXT
    found, expected = (
        run_json_lines(worker_binary, "generate", "--model", model, "--prompt", "To be", "--json",
                       "--max-tokens", 30, "--seed", 3)[-1]["ids"] for model in (path, directory))
    assert found == expected


@pytest.mark.parametrize("kind", [Type.Q8_0, Type.Q4_0, Type.Q6_K], ids=lambda kind: kind.name)
def test_blocks_are_widened_bit_for_bit(worker_binary, make_model, tmp_path, kind):
    directory = make_model("--hidden", "256", "--heads", "4", "--context", "96")
    arrays = weights(directory)
    stored = quantized(kind)
    path = write(tmp_path / "blocks.gguf", directory, arrays, stored)

    def widened(name, array):
        kind, data = stored(name, array)
        return gguf.quants.dequantize(data, kind).astype(np.float32).reshape(array.shape)

    wide = {name: widened(name, array) for name, array in arrays.items()}
    assert any((wide[name] != arrays[name]).any() for name in arrays)
    other = write(tmp_path / "wide.gguf", directory, wide, as_floats)
    # The loss of every token, to the last digit.
    assert perplexity(worker_binary, path, tmp_path) == perplexity(worker_binary, other, tmp_path)
    wide["transformer.h.1.mlp.c_proj.weight"][3, 5] *= np.float32(1.01)
    changed = write(tmp_path / "changed.gguf", directory, wide, as_floats)
    assert perplexity(worker_binary, path, tmp_path) != perplexity(worker_binary, changed, tmp_path)


@pytest.mark.parametrize("kind", [Type.Q8_0, Type.Q4_0, Type.Q6_K], ids=lambda kind: kind.name)
@pytest.mark.parametrize("precision", ["f32", "q8"])
def test_the_digest_sees_every_block(worker_binary, make_model, tmp_path, kind, precision):
    directory = make_model("--hidden", "256", "--heads", "4", "--context", "96")
    path = write(tmp_path / "blocks.gguf", directory, weights(directory), quantized(kind))

    def digest():
        (facts,) = run_json_lines(
            worker_binary, "inspect", "--model", path, "--json", "--precision", precision)
        return facts["digest"]

    whole = digest()
    content = bytearray(path.read_bytes())
    # The last weights of the file, and some in the middle.
    for place in (len(content) - 40_000, len(content) // 2):
        content[place] ^= 1
        path.write_bytes(content)
        assert digest() != whole
        content[place] ^= 1
    path.write_bytes(content)
    assert digest() == whole


@pytest.mark.parametrize("kind", [Type.Q8_0, Type.Q4_0], ids=lambda kind: kind.name)
def test_a_directory_of_the_widened_weights(worker_binary, make_model, tmp_path, kind):
    directory = make_model()
    arrays = weights(directory)
    stored = quantized(kind)
    path = write(tmp_path / "blocks.gguf", directory, arrays, stored)
    copy = tmp_path / "copy"
    shutil.copytree(directory, copy)
    wide = {}
    for name, array in arrays.items():
        kind, data = stored(name, array)
        floats = gguf.quants.dequantize(data, kind).reshape(array.shape)
        wide[name] = np.ascontiguousarray(floats.T if is_transposed(name) else floats)
    safetensors.numpy.save_file(wide, copy / "model.safetensors")
    found = perplexity(worker_binary, path, tmp_path)
    assert found == perplexity(worker_binary, copy, tmp_path)
    assert found != perplexity(worker_binary, directory, tmp_path)


def test_a_worker_serves_it(start_worker, dispatcher, make_model, tmp_path):
    directory = make_model()
    path = write(tmp_path / "small.gguf", directory, weights(directory), quantized(Type.Q8_0))
    worker = start_worker(path)
    heartbeat = dispatcher.attach(worker)
    assert heartbeat["model"]["tokenizer_kind"] == "gguf-bpe"
    assert dispatcher.finish(dispatcher.send("To be"))[-1]["type"] == "end"


@pytest.fixture(scope="module")
def intact(make_model, tmp_path_factory):
    directory = make_model()
    path = tmp_path_factory.mktemp("gguf") / "m.gguf"
    return write(path, directory, weights(directory), as_floats)


def patched(data, place, *numbers):
    for number in numbers:
        data = data[:place] + struct.pack("<Q", number) + data[place + 8:]
        place += 8
    return data


DAMAGES = {
    "empty": lambda data: b"",
    "the magic only": lambda data: data[:4],
    "cut in the header": lambda data: data[:300],
    "cut in half": lambda data: data[: len(data) // 2],
    "2^63 tensors": lambda data: patched(data, 8, 1 << 63),
    "2^63 keys": lambda data: patched(data, 16, 1 << 63),
    "a key of 2^62 bytes": lambda data: patched(data, 24, 1 << 62),
    "2^60 tokens": lambda data: patched(
        data, data.index(b"tokenizer.ggml.tokens") + 21 + 8, 1 << 60),
    "a token of 2^62 bytes": lambda data: patched(
        data, data.index(b"tokenizer.ggml.tokens") + 21 + 16, 1 << 62),
    "a tensor of 2^62 rows": lambda data: patched(
        data, data.index(b"token_embd.weight") + 17 + 4, 1 << 62, 1 << 62),
    "noise behind the header": lambda data: data[:24] + bytes(range(256)) * 9,
    "another architecture": lambda data: data.replace(b"gpt2", b"gptX", 1),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file(worker_binary, intact, tmp_path, damage):
    path = tmp_path / "damaged.gguf"
    path.write_bytes(DAMAGES[damage](intact.read_bytes()))
    # Whatever the file says of itself, memory stays small: 1 GB of addresses holds the program.
    limited = ["-c", 'ulimit -v 1000000; exec "$0" "$@"', worker_binary, *command("generate")]
    done = run("/bin/bash", *limited, "--model", path)
    assert_one_sentence(done, "damaged.gguf")
    print(done.stderr.decode().strip())


def test_the_intact_file_runs_in_as_much_memory(worker_binary, intact):
    limited = ["-c", 'ulimit -v 1000000; exec "$0" "$@"', worker_binary, *command("generate")]
    assert run("/bin/bash", *limited, "--max-tokens", 4, "--model", intact).returncode == 0


def test_a_directory_that_holds_only_a_gguf_file(worker_binary, intact):
    done = run(worker_binary, *command("generate"), "--model", intact.parent)
    assert_one_sentence(done, "m.gguf", "name this file as the model")
