"""What the engines' modules share: the prompt, the model's files, and a file that is whole or not there."""
# SPDX-License-Identifier: Apache-2.0

import contextlib
import json
import os
import pathlib
import tempfile
import time

VOCABULARY, CONTEXT = 50257, 1024


def prompt(count):
    """The ids that llorch-worker bench uses: they jump through the vocabulary, as text does."""
    return [(index * 7919 + 13) % VOCABULARY for index in range(count)]


def configuration(directory):
    return json.loads((directory / "config.json").read_text(encoding="utf-8"))


def weights(directory):
    """Tensors by name, without the prefix."""
    from safetensors.numpy import load_file

    return {name.removeprefix("transformer."): tensor
            for name, tensor in load_file(directory / "model.safetensors").items()}


@contextlib.contextmanager
def made_whole(target):
    """A path in a folder beside `target`; what lies there moves over in the end, `target` itself last."""
    target = pathlib.Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".making-") as folder:
        yield pathlib.Path(folder) / target.name
        for path in sorted(pathlib.Path(folder).iterdir(), key=lambda path: path.name == target.name):
            os.replace(path, target.parent / path.name)


class Stepwise:
    """Timing for an engine with `run(ids)`, which appends to its cache, and `truncate(count)`."""

    can_truncate = True
    # The depth of the last call, if nothing was run since that would have overwritten its prompt.
    depth = None

    def prefill(self, count):
        ids = prompt(count)
        self.depth = None
        self.truncate(0)
        start = time.perf_counter()
        self.run(ids)
        return time.perf_counter() - start

    def decode(self, depth, count):
        if self.can_truncate and self.depth == depth:
            self.truncate(depth)
        else:
            self.truncate(0)
            self.run(prompt(depth))
        self.depth = depth
        token = prompt(1)
        start = time.perf_counter()
        for _ in range(count):
            self.run(token)
        return time.perf_counter() - start
