"""Model directories that each say one thing: transformers' ids and ends, or a refusal in the words that are listed.

The cases are those of scripts/check-directories.
"""
# SPDX-License-Identifier: Apache-2.0

import sys

import pytest

from commands import assert_one_sentence
from harness import run
from PythonSupport.programs import ROOT

sys.path.insert(0, str(ROOT / "Tools/matrix"))

from directories.cases import CASES, Case  # noqa: E402
from directories.check import Checker, Verdict  # noqa: E402
from directories.directory import added  # noqa: E402
from directories.mixtures import mixture  # noqa: E402


@pytest.fixture(scope="module")
def checker(worker_binary):
    return Checker(worker_binary)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_a_directory(checker, case, tmp_path):
    result = checker.check(case, tmp_path / "model")
    expected = Verdict.REFUSED if case.refused else Verdict.AGREES
    assert result.verdict is expected, "\n".join(result.told)


@pytest.mark.parametrize("seed", range(12))
def test_a_mixture(worker_binary, seed, tmp_path):
    case = mixture(seed)
    result = Checker(worker_binary, is_random=True).check(case, tmp_path / "model")
    assert result.verdict is not Verdict.WRONG, "\n".join([case.name, *result.told])


def test_the_comparison_can_fail(checker, tmp_path):
    """transformers is asked about a directory with one more token than the worker's."""

    def more(directory):
        directory.resize(directory.rows + 1)
        directory.combined(tokens=[added("hello", directory.rows - 1, special=False)])

    case = Case("differs", lambda directory: directory.resize(directory.rows + 1), twin=more)
    result = checker.check(case, tmp_path / "model")
    assert result.verdict is Verdict.WRONG
    assert any("hello the" in told for told in result.told)


def test_an_added_token_beyond_the_token_table(checker, worker_binary, tmp_path):
    """The model loads and answers; what holds the token is refused in a sentence."""

    def padding(directory):
        directory.files["added_tokens.json"] = {"[PAD]": directory.rows}

    case = Case("beyond", padding)
    assert checker.check(case, tmp_path / "model").verdict is Verdict.AGREES
    (tmp_path / "text").write_text("a text with [PAD] in it")
    for arguments in (["generate", "--prompt", "a[PAD]"], ["perplexity", "--file", tmp_path / "text"]):
        done = run(worker_binary, *arguments, "--model", tmp_path / "model")
        assert_one_sentence(done, "267")
