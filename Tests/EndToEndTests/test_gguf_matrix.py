"""Generated GGUF files: ids, end marks and greedy answers are those that llama.cpp gave, or the file is refused.

llama.cpp's answers are recorded in Tests/Fixtures/gguf-matrix.json; scripts/check-gguf asks it anew.
"""
# SPDX-License-Identifier: Apache-2.0

import os
import subprocess
import sys

from PythonSupport.programs import ROOT

# What is loaded by llama.cpp, and refused here with a reason.
REFUSED = {
    # Texts would be cut in another way than GPT-2 does.
    "pre-starcoder", "pre-llama-bpe", "pre-qwen2", "pre-falcon", "pre-default", "pre-missing", "pre-empty",
    # A prompt would not be what was written.
    "roberta-with-separator", "add-bos", "add-eos", "add-sep",
    "byte", "not-causal",
}


def check(worker_binary, *arguments):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "Tools")}
    return subprocess.run(
        [sys.executable, "-B", "-m", "matrix.gguf_check", "--worker", worker_binary, *arguments],
        env=environment, capture_output=True, text=True, timeout=300)


def test_every_file_is_read_as_llama_reads_it_or_refused(worker_binary):
    done = check(worker_binary, "--recorded")
    print(done.stdout)
    assert done.returncode == 0, done.stderr
    rows = [line.split(None, 2) for line in done.stdout.splitlines() if line.startswith("ok ")]
    assert len(rows) >= 80
    assert sum(happened.startswith("equal") for _, _, happened in rows) >= 45
    assert {name for _, name, happened in rows if happened.startswith("refused here: ")} == REFUSED
    for _, name, happened in rows:
        if happened.startswith("refused here: "):
            assert any(key in happened for key in ("tokenizer.ggml.", "gpt2.", "general.")), (name, happened)


def test_a_file_that_differs_is_seen(worker_binary, tmp_path):
    """A program that reads every text as the same ids is found out."""
    other = tmp_path / "worker"
    other.write_text(f'#!/bin/sh\n[ "$1" = tokenize ] || exec "{worker_binary}" "$@"\necho "[104, 105]"\n')
    other.chmod(0o755)
    done = check(other, "--recorded", "--case", "plain")
    assert done.returncode == 1
    assert "FAIL  plain  plain: at 0" in done.stdout
