"""The promise of docs/numerics.md from outside: every instruction set and every chunking, one result.

`perplexity --json --per-token` prints a probability of every position with all its digits, so that
equal bytes mean equal logits.
"""
# SPDX-License-Identifier: Apache-2.0

import pytest

from harness import run, run_json_lines
from PythonSupport.programs import ROOT

# Sizes that no vector divides, and the demo model.
MODELS = {
    "shakespeare": None,
    "odd": ("--layers", "3", "--hidden", "63", "--heads", "7", "--inner", "101", "--context", "150"),
    "gelu, untied, f16": ("--hidden", "90", "--heads", "9", "--activation", "gelu", "--untied",
                          "--vocabulary", "1001", "--dtype", "f16", "--context", "150"),
}
CHUNKS = ["1", "7", "64", "1024"]
PRECISIONS = ["f32", "bf16", "q8", "q4"]


@pytest.fixture(scope="module", params=MODELS, ids=lambda name: name.replace(" ", ""))
def directory(request, make_model):
    arguments = MODELS[request.param]
    return ROOT / "models/shakespeare" if arguments is None else make_model(*arguments)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """Longer than a context, so that windows overlap too."""
    file = tmp_path_factory.mktemp("text") / "text.txt"
    file.write_bytes((ROOT / "models/shakespeare/validation.txt").read_bytes()[:2000])
    return file


def perplexity(worker_binary, directory, text, *arguments):
    done = run(worker_binary, "perplexity", "--model", directory, "--file", text, "--json",
               "--per-token", *arguments)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.count(b",") > 200
    return done.stdout


@pytest.mark.parametrize("precision", PRECISIONS)
def test_instruction_sets_and_chunks(worker_binary, directory, text, isa_levels, precision):
    arguments = ("--precision", precision)
    expected = perplexity(worker_binary, directory, text, *arguments)
    for level in isa_levels:
        for chunk in CHUNKS:
            found = perplexity(worker_binary, directory, text, *arguments, "--isa", level,
                               "--chunk", chunk)
            assert found == expected, (level, chunk)


def test_precisions_differ(worker_binary, directory, text):
    outputs = {perplexity(worker_binary, directory, text, "--precision", precision)
               for precision in PRECISIONS}
    assert len(outputs) == len(PRECISIONS)


def test_another_text_gives_other_bytes(worker_binary, directory, text, tmp_path):
    other = tmp_path / "other.txt"
    other.write_bytes(text.read_bytes()[:-2] + b"q!")
    assert perplexity(worker_binary, directory, other) != perplexity(worker_binary, directory, text)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_sampled_text(worker_binary, directory, isa_levels, precision):
    def sample(*arguments):
        return run_json_lines(
            worker_binary, "generate", "--model", directory, "--precision", precision,
            "--prompt", "To be", "--json",
            "--max-tokens", 60, "--seed", 42, "--top-p", 0.95, "--repetition-penalty", 1.1,
            *arguments)[-1]["ids"]

    expected = sample()
    assert len(set(expected)) > 5
    for level in isa_levels:
        for chunk in CHUNKS:
            assert sample("--isa", level, "--chunk", chunk) == expected, (level, chunk)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_124m_model(worker_binary, base_model, text, isa_levels, precision):
    """The generic level computes without vectors: minutes."""
    arguments = ("--precision", precision)
    expected = perplexity(worker_binary, base_model, text, *arguments)
    for level in isa_levels:
        for chunk in ("7", "64", "1024"):
            found = perplexity(worker_binary, base_model, text, *arguments, "--isa", level,
                               "--chunk", chunk)
            assert found == expected, (level, chunk)
