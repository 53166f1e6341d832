"""What the tests of /v1/ share: servers that last for a module, and the parts of a stream put together again."""
# SPDX-License-Identifier: Apache-2.0

import contextlib

import httpx

from harness import PATIENCE, Worker
from PythonSupport.programs import ROOT
from shim import Shim

DEMO_MODEL = ROOT / "models/shakespeare"
MODEL = "shakespeare"
_MASK = (1 << 64) - 1


@contextlib.contextmanager
def served(folder, shim_binary, worker_binary, *, model=None, shim=(), worker=()):
    """A shim with one worker."""
    server = Shim(shim_binary, folder / "shim.log", arguments=shim)
    try:
        with worker_of(server, folder, worker_binary, model=model, arguments=worker):
            server.until_healthy()
            yield server
    finally:
        server.kill()


@contextlib.contextmanager
def worker_of(server, folder, binary, *, model=None, arguments=(), ports=None, log="worker.log"):
    process = Worker(binary, folder / log, name="w1", events_port=server.events_port, model=model,
                     arguments=arguments, ports=ports)
    try:
        yield process
    finally:
        process.kill()


def metric(server, name):
    """The sum of a metric's samples."""
    page = httpx.get(f"{server.url}/metrics", timeout=PATIENCE).text
    return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines()
               if line.startswith((name + " ", name + "{")))


def seed_of(choice, seed):
    """SplitMix64, as docs/openai-api.md describes the seeds of further choices."""
    if choice == 0:
        return seed
    mixed = (seed + choice * 0x9E3779B97F4A7C15) & _MASK
    mixed = ((mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) & _MASK
    return mixed ^ mixed >> 31


def put_together(chunks):
    """The choices of all chunks of a stream, each as the document would have it."""
    choices = {}
    for chunk in chunks:
        for part in chunk["choices"]:
            choice = choices.setdefault(part["index"], {"text": "", "logprobs": None, "finish_reason": None})
            choice["text"] += part["text"]
            if part["logprobs"]:
                lists = choice["logprobs"] = choice["logprobs"] or {name: [] for name in part["logprobs"]}
                for name, values in part["logprobs"].items():
                    lists[name] += values
            assert choice["finish_reason"] is None, "a chunk behind the last one"
            choice["finish_reason"] = part["finish_reason"]
    return [choices[index] | {"index": index} for index in sorted(choices)]
