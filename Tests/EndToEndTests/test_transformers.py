"""The engine against Hugging Face transformers, from outside, on random models of many shapes.

Greedy ids are compared with those of a float64 run: it is the same on every machine, and so are ours.
"""
# SPDX-License-Identifier: Apache-2.0

import json

import pytest
import torch
from transformers import GPT2LMHeadModel

from harness import run, run_json_lines

# Seeded, so that no two best logits are close by chance on one machine only.
SHAPES = {
    "tiny": ("--preset", "tiny"),
    "124m": ("--preset", "124m"),
    "heads of 9": ("--layers", "3", "--hidden", "63", "--heads", "7", "--vocabulary", "700",
                   "--context", "96"),
    "heads of 1": ("--layers", "1", "--hidden", "17", "--heads", "17", "--context", "40"),
    "one head of 96": ("--hidden", "96", "--heads", "1", "--untied", "--activation", "relu"),
    "erf gelu, odd inner": ("--hidden", "100", "--heads", "5", "--inner", "333",
                            "--activation", "gelu", "--context", "200"),
    "whole vocabulary, untied": ("--layers", "2", "--hidden", "72", "--heads", "6",
                                 "--vocabulary", "50257", "--untied"),
    "f16 in shards": ("--layers", "4", "--hidden", "48", "--heads", "3", "--dtype", "f16",
                      "--shards", "3", "--no-prefix"),
    "bf16": ("--layers", "3", "--hidden", "80", "--heads", "8", "--dtype", "bf16", "--seed", "3"),
    "bf16 untied in shards": ("--layers", "2", "--hidden", "130", "--heads", "13", "--untied",
                              "--dtype", "bf16", "--shards", "4", "--context", "300"),
    "deep": ("--layers", "24", "--hidden", "64", "--heads", "4", "--activation", "gelu_pytorch_tanh"),
}
TEXT = ("Now is the winter of our discontent\nMade glorious summer by this sun of York; "
        "and all the clouds that lour'd upon our house, in the deep bosom of the ocean buried. " * 12)


@pytest.fixture(scope="module", params=SHAPES, ids=lambda name: name.replace(" ", "-"))
def pair(request, make_model, base_model):
    """A directory and its model in float64."""
    name = request.param
    directory = base_model if name == "124m" else make_model(*SHAPES[name])
    model = GPT2LMHeadModel.from_pretrained(directory, dtype=torch.float64, local_files_only=True)
    return directory, model.eval()


@torch.inference_mode()
def greedy(model, prompt, count):
    """Ids, and the least distance between the best logit and the next."""
    ids, margin, cache, row = [], float("inf"), None, torch.tensor([prompt])
    for _ in range(count):
        out = model(row, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        best = out.logits[0, -1].topk(2)
        margin = min(margin, float(best.values[0] - best.values[1]))
        ids.append(int(best.indices[0]))
        row = best.indices[None, :1]
        if ids[-1] == model.config.eos_token_id:
            return ids[:-1], margin
    return ids, margin


def generate(worker_binary, directory, prompt, count):
    return run_json_lines(
        worker_binary, "generate", "--model", directory, "--ids", ",".join(map(str, prompt)),
        "--max-tokens", count, "--temperature", 0, "--json", "--precision", "f32")[-1]


def random_prompt(model, length, seed):
    generator = torch.Generator().manual_seed(seed)
    # The end mark is the last id and would be an ordinary token here.
    return torch.randint(0, model.config.vocab_size - 1, (length,), generator=generator).tolist()


@pytest.mark.parametrize("place", ["one token", "a sentence", "nearly all of the context"])
def test_greedy_ids(worker_binary, pair, place):
    directory, model = pair
    context = min(model.config.n_positions, 1024)
    length = {"one token": 1, "a sentence": 12}.get(place, context - 9)
    count = min(24, context - length)
    prompt = random_prompt(model, length, seed=length)
    expected, margin = greedy(model, prompt, count)
    end = generate(worker_binary, directory, prompt, count)
    print(f"{len(expected)} ids, the closest decision is {margin:.2e} wide")
    assert end["ids"] == expected
    assert end["prompt_tokens"] == length


def test_log_probabilities(worker_binary, pair, tmp_path):
    directory, model = pair
    done = run(worker_binary, "tokenize", "--model", directory, "--json", input=TEXT.encode())
    ids = json.loads(done.stdout)
    # One window: how longer texts are cut is not what is compared.
    ids = ids[: min(model.config.n_positions, 400)]
    text = run(worker_binary, "detokenize", "--model", directory, input=json.dumps(ids).encode())
    file = tmp_path / "text.txt"
    file.write_bytes(text.stdout)
    (ours,) = run_json_lines(worker_binary, "perplexity", "--model", directory, "--file", file,
                             "--json", "--per-token", "--precision", "f32")
    assert ours["tokens"] == len(ids)
    found = torch.tensor(ours["log_probabilities"], dtype=torch.float64)
    exact = log_probabilities(model, ids)
    single = log_probabilities(
        GPT2LMHeadModel.from_pretrained(directory, dtype=torch.float32, local_files_only=True), ids)
    to_single = float((found - single).abs().max())
    ours_off, single_off = (float((x - exact).abs().max()) for x in (found, single))
    print(f"largest difference over {len(found)} tokens: to transformers' float32 {to_single:.2e}; "
          f"to its float64: ours {ours_off:.2e}, its float32 {single_off:.2e}")
    assert to_single <= 2e-4
    assert ours_off <= 2e-4
    assert ours["perplexity"] == pytest.approx(float(torch.exp(-exact.mean())), rel=1e-4)


@torch.inference_mode()
def log_probabilities(model, ids):
    logits = model.eval()(torch.tensor([ids])).logits[0, :-1].to(torch.float64)
    return torch.log_softmax(logits, -1).gather(1, torch.tensor(ids[1:])[:, None])[:, 0]


def test_the_comparison_can_fail(worker_binary, make_model):
    """The same shape with other weights agrees in nothing."""
    directory = make_model(*SHAPES["tiny"])
    other = make_model(*SHAPES["tiny"], "--seed", "1")
    model = GPT2LMHeadModel.from_pretrained(other, dtype=torch.float64, local_files_only=True)
    expected, _ = greedy(model, [1, 2, 3], 24)
    assert generate(worker_binary, directory, [1, 2, 3], 24)["ids"] != expected
