"""The examples as they are printed in the documents, against a real worker."""
# SPDX-License-Identifier: Apache-2.0

import ast
import subprocess
import sys

import pytest

from harness import PATIENCE, Worker
from PythonSupport.ports import free_ports
from PythonSupport.programs import ROOT


@pytest.fixture
def run_example(start, worker_binary, tiny_model, tmp_path):
    """Runs an example with its three default ports replaced by free ones."""

    def run(name):
        text = (ROOT / "examples" / name).read_text(encoding="utf-8")
        ports = free_ports(3)
        for default, port in zip((5600, 5601, 5602), ports):
            text = text.replace(str(default), str(port))
        script = tmp_path / name
        script.write_text(text, encoding="utf-8")
        start(Worker, worker_binary, name="worker", events_port=ports[0], ports=ports[1:],
              model=tiny_model)
        return subprocess.run(
            [sys.executable, script], stdin=subprocess.DEVNULL, timeout=PATIENCE, check=True,
            stdout=subprocess.PIPE, encoding="utf-8").stdout

    return run


def test_client(run_example):
    end = ast.literal_eval(run_example("client.py").splitlines()[-1].strip())
    assert end["type"] == "end"
    # The seed is drawn, so the model may choose to end early.
    assert (end["stop_reason"], end["tokens_out"]) == ("MAX_TOKENS", 16) or (
        end["stop_reason"] == "EOS" and end["tokens_out"] < 16)


def test_dispatcher(run_example):
    output = run_example("dispatcher.py")
    assert output.count("'type': 'end'") == 3
    assert output.count("To be, or not to be: ") >= 1


@pytest.mark.parametrize("name, lines", [("client.py", 9), ("dispatcher.py", 32)])
def test_they_are_as_short_as_promised(name, lines):
    text = (ROOT / "examples" / name).read_text(encoding="utf-8").split("\n\n\nif __name__")[0]
    assert len([line for line in text.splitlines() if not line.startswith("#")]) == lines
