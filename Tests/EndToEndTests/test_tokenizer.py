"""`llorch-worker tokenize` against tiktoken, over several megabytes of text in many scripts.

tiktoken is built by hand from the vocabulary of the fixture: nothing is downloaded. The fixtures
`worker_binary` and `gpt2_tokenizer_dir` (paths) come from conftest.py.
"""
# SPDX-License-Identifier: Apache-2.0

import json
import pathlib
import random
import subprocess

import pytest
import tiktoken

PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
END_OF_TEXT = "<|endoftext|>"

# What the pattern treats each in its own way.
FRAGMENTS = [
    *(" ", "  ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "\x85", "\u2028", "\x1c", "\x1f", "\u200b"),
    *("'", "'s", "'S", "'t", "'re", "'ve", "'m", "'ll", "'d", "'r", "a", "Z", " the", "hello", "\u0301"),
    *("é", "ß", "日", "本語", "ー", "한국", "ا", "ไทย", "नमस्ते", "1", "42", "²", "½", "Ⅷ", "٣", "𝟙", "𝒜"),
    *("!", "?!", "_", "-", "...", "😀", "👩‍👩‍👧", "🏳️‍🌈", "🇪🇺", "\0", "\ufeff", "\ufffd", END_OF_TEXT),
]


@pytest.fixture(scope="module")
def gpt2(gpt2_tokenizer_dir):
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    byte_of = {chr(byte): byte for byte in printable}
    byte_of.update({chr(256 + index): byte for index, byte in enumerate(others)})
    file = pathlib.Path(gpt2_tokenizer_dir) / "vocab.json"
    vocabulary = json.loads(file.read_text(encoding="utf-8"))
    ranks = {
        bytes(byte_of[character] for character in token): rank
        for token, rank in vocabulary.items()
        if token != END_OF_TEXT
    }
    special = {END_OF_TEXT: vocabulary[END_OF_TEXT]}
    return tiktoken.Encoding(
        "gpt2", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=special
    )


@pytest.fixture(scope="module")
def tokenize(worker_binary, gpt2_tokenizer_dir):
    def run(text):
        done = subprocess.run(
            [worker_binary, "tokenize", "--model", gpt2_tokenizer_dir, "--json"],
            input=text.encode("utf-8"), stdout=subprocess.PIPE, check=True, timeout=600,
        )
        return json.loads(done.stdout)

    return run


def assert_equal(found, expected, encoding):
    """As `==`, but a difference among a million ids is shown where it begins."""
    if found == expected:
        return
    pairs = enumerate(zip(found, expected))
    place = next((n for n, (a, b) in pairs if a != b), min(len(found), len(expected)))
    around = slice(max(0, place - 3), place + 5)
    text = encoding.decode(expected[around])
    pytest.fail(
        f"{len(found)} ids, expected {len(expected)}; first difference at {place}, near {text!r}: "
        f"found {found[around]}, expected {expected[around]}"
    )


def every_scalar():
    return [chr(value) for value in range(0x110000) if not 0xD800 <= value < 0xE000]


def test_every_scalar_in_order(tokenize, gpt2):
    text = "".join(every_scalar())
    assert_equal(tokenize(text), gpt2.encode_ordinary(text), gpt2)


def test_every_scalar_between_letters_digits_and_spaces(tokenize, gpt2):
    text = "".join(f"a{c}1 {c} {c}{c}'s{c}\n" for c in every_scalar()[::5])
    assert_equal(tokenize(text), gpt2.encode_ordinary(text), gpt2)


@pytest.mark.parametrize("seed", range(4))
def test_fragments_in_any_order(tokenize, gpt2, seed):
    choice = random.Random(seed)
    text = "".join(choice.choices(FRAGMENTS, k=300_000))
    assert_equal(tokenize(text), gpt2.encode_ordinary(text), gpt2)


@pytest.mark.parametrize("seed", range(4))
def test_words_of_any_length(tokenize, gpt2, seed):
    choice = random.Random(seed)
    letters = "etaoinshrdlucmfwypvbgkjqxz" * 4 + "éñüабвгд日本語"
    words = ("".join(choice.choices(letters, k=choice.randrange(1, 200))) for _ in range(5_000))
    text = " ".join(words)
    assert_equal(tokenize(text), gpt2.encode_ordinary(text), gpt2)


def test_sources_of_this_project(tokenize, gpt2):
    root = pathlib.Path(__file__).resolve().parents[2]
    files = sorted(
        path for name in ("Sources", "Tests", "docs") for path in (root / name).rglob("*")
        if path.suffix in {".swift", ".c", ".h", ".md", ".py", ".json", ".txt"}
    )
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    assert len(text) > 1_000_000
    assert_equal(tokenize(text), gpt2.encode_ordinary(text), gpt2)


# tiktoken's pattern engine overflows its stack on a mebibyte of spaces; ours must only be quick.
@pytest.mark.parametrize("unit", ["a", " ", "😀", "!", "\n", "日本", "abcdefghijklmnop"])
def test_a_mebibyte_of_one_thing_round_trips(tokenize, gpt2, unit):
    text = unit * ((1 << 20) // len(unit.encode("utf-8")))
    assert gpt2.decode(tokenize(text)) == text
    short = unit * 1_000
    assert_equal(tokenize(short), gpt2.encode_ordinary(short), gpt2)


def test_nothing_in_nothing_out(tokenize):
    assert tokenize("") == []
