"""Nothing of the tests is in the worker that is shipped: no stub engine, and no places to crash at."""
# SPDX-License-Identifier: Apache-2.0

import pytest

from harness import PATIENCE, run

# The compiler keeps strings of up to 15 bytes inside instructions, where a search of the file does not find `stub:` and
# `crash-at`, so longer words are looked for too, and the name behind the option.
OF_THE_TESTS = (b"crashAt", b"before-accepted", b"StubBackend")


@pytest.mark.parametrize("words", (b"stub:", b"crash-at", *OF_THE_TESTS), ids=bytes.decode)
def test_the_shipped_worker_has_none_of_it(worker_binary, words):
    assert words not in worker_binary.read_bytes()


@pytest.mark.parametrize("words", OF_THE_TESTS, ids=bytes.decode)
def test_the_tests_worker_has_all_of_it(stub_binary, words):
    """Else the test above would look for what cannot be found."""
    assert words in stub_binary.read_bytes()


@pytest.mark.parametrize("arguments", [["--engine", "stub:ms=1"], ["--crash-at", "load"]], ids=" ".join)
def test_the_shipped_worker_does_not_know_the_options(worker_binary, arguments):
    done = run(worker_binary, "serve", *arguments, seconds=PATIENCE)
    assert done.returncode == 2 and arguments[0] in done.stderr.decode(), done
