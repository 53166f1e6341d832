"""Models for the tests of an engine that computes."""
# SPDX-License-Identifier: Apache-2.0

import os
import pathlib
import subprocess
import sys

from PythonSupport.programs import ROOT

# A thousand tokens of GPT-2's vocabulary.
LONG_PROMPT = " the" * 1000


def base_model():
    """GPT-2 124M's sizes with random weights, made once, where scripts/test makes it too."""
    if given := os.environ.get("LLORCH_BASE_DIR"):
        return pathlib.Path(given)
    folder = ROOT / ".build-models/base"
    if not (folder / "complete").exists():
        print("      making a model of GPT-2's 124M sizes in .build-models", flush=True)
        subprocess.run([sys.executable, ROOT / "scripts/make-random-model", folder, "--preset", "124m",
                        "--tokenizer", ROOT / "Tests/Fixtures/gpt2-tokenizer"],
                       check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        (folder / "complete").touch()
    return folder
