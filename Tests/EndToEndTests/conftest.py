"""Fixtures of the end-to-end tests: built programs, models made by a script, running workers.

`scripts/test` builds and prepares all of it; LLORCH_BIN_DIR and LLORCH_BASE_DIR name other places.
"""
# SPDX-License-Identifier: Apache-2.0

import itertools
import os
import pathlib
import platform
import subprocess
import sys

import pytest

from harness import PATIENCE, Dispatcher, Worker, run
from PythonSupport.programs import ROOT, binaries
from shim import Shim

GPT2_TOKENIZER = ROOT / "Tests/Fixtures/gpt2-tokenizer"


def _binary(name):
    path = binaries() / name
    if not os.access(path, os.X_OK):
        pytest.exit(f"{path} is not there: swift build -c release --product {name}", returncode=1)
    return path


@pytest.fixture(scope="session")
def worker_binary():
    return _binary("llorch-worker")


@pytest.fixture(scope="session")
def stub_binary():
    """The worker's library with an engine whose every token is known, and with places to crash at."""
    return _binary("stub-worker")


@pytest.fixture(scope="session")
def shim_binary():
    return _binary("llorch-http-shim")


@pytest.fixture(scope="session")
def allocation_gate():
    return _binary("allocation-gate")


@pytest.fixture(scope="session")
def gpt2_tokenizer_dir():
    return GPT2_TOKENIZER


@pytest.fixture(scope="session")
def make_model(tmp_path_factory):
    """A function: arguments of scripts/make-random-model to a directory, each made once."""
    made = {}

    def make(*arguments):
        if arguments not in made:
            directory = tmp_path_factory.mktemp("model")
            subprocess.run(
                [sys.executable, ROOT / "scripts/make-random-model", directory,
                 "--tokenizer", GPT2_TOKENIZER, *arguments],
                check=True, timeout=900, stdout=subprocess.DEVNULL)
            made[arguments] = directory
        return made[arguments]

    return make


@pytest.fixture(scope="session")
def tiny_model(make_model):
    """Answers in milliseconds; 512 tokens, a context of 128."""
    return make_model("--preset", "tiny")


@pytest.fixture(scope="session")
def base_model(make_model):
    """GPT-2 124M's sizes, so that a job lasts long enough to be caught at every stage."""
    given = os.environ.get("LLORCH_BASE_DIR")
    return pathlib.Path(given) if given else make_model("--preset", "124m")


@pytest.fixture
def start(request, tmp_path):
    """A function that starts a process which ends with the test; shows its log if the test fails."""
    started = []
    counter = itertools.count(1)

    def begin(kind, *arguments, **options):
        log = tmp_path / f"{kind.__name__.lower()}-{next(counter)}.log"
        started.append(kind(*arguments, log=log, **options))
        return started[-1]

    yield begin
    for process in reversed(started):
        process.kill()
    if getattr(request.node, "failed", False):
        for process in started:
            print(f"--- {process.log_path.name}\n{process.tail()}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call":
        item.failed = report.failed
    return report


@pytest.fixture
def dispatcher():
    dispatcher = Dispatcher()
    yield dispatcher
    dispatcher.close()


@pytest.fixture
def start_worker(start, worker_binary, dispatcher):
    """A function that starts a worker of the dispatcher; does not wait for it."""

    def begin(model=None, *, name="w1", **options):
        return start(Worker, worker_binary, name=name, events_port=dispatcher.events_port,
                     model=model, **options)

    return begin


@pytest.fixture
def worker(start_worker, dispatcher, tiny_model):
    """A worker with the tiny model that has sent its first heartbeat."""
    worker = start_worker(tiny_model)
    dispatcher.attach(worker)
    return worker


@pytest.fixture
def shim(start, shim_binary):
    return start(Shim, shim_binary)


@pytest.fixture
def serve(start, worker_binary, shim):
    """A function that starts a worker of the shim."""

    def begin(model, name, ports=None):
        return start(Worker, worker_binary, name=name, events_port=shim.events_port, model=model,
                     ports=ports)

    return begin


@pytest.fixture(scope="session")
def isa_levels(worker_binary, tiny_model):
    """The instruction-set levels that this machine can run."""
    levels = []
    for level in ("generic", "avx2", "avx512", "neon"):
        done = run(worker_binary, "inspect", "--model", tiny_model, "--isa", level, seconds=PATIENCE)
        if done.returncode == 0:
            levels.append(level)
    assert "generic" in levels
    # Comparing one level with itself would prove nothing.
    assert platform.machine() != "x86_64" or len(levels) >= 2, levels
    return levels
