"""Starts a shim and a worker, and lets schemathesis loose on them. The options: arguments.py."""
# SPDX-License-Identifier: Apache-2.0

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

from arguments import parse
from PythonSupport.ports import free_ports
from PythonSupport.programs import PATIENCE, ROOT, Process, binaries, serve_command

FOLDER = pathlib.Path(__file__).resolve().parent


@contextlib.contextmanager
def served(folder, worker, arguments):
    """A shim with one worker that serves: its address, and the name of the model."""
    port, events, jobs, control = free_ports(4)
    address = f"tcp://127.0.0.1:{events}"
    shim = Process([binaries() / "llorch-http-shim", "--port", port, "--events", f"bind:{address}"],
                   folder / "shim.log")
    worker = Process(
        serve_command(binaries() / worker, name="w1", jobs=f"bind:tcp://127.0.0.1:{jobs}",
                      control=f"bind:tcp://127.0.0.1:{control}", events=f"connect:{address}", arguments=arguments),
        folder / "worker.log")
    processes = [shim.start(), worker.start()]
    try:
        yield f"http://127.0.0.1:{port}", until_served(port, processes)
        for process in processes:
            if not process.is_running():
                sys.exit(f"check-openapi: {process.command[0]} has ended\n{process.tail()}")
    finally:
        for process in processes:
            process.kill()


def until_served(port, processes):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and all(process.is_running() for process in processes):
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=PATIENCE) as answer:
                return json.load(answer)["model"]
        time.sleep(0.02)  # between two looks, not in place of one
    sys.exit("check-openapi: no worker serves\n" + "\n".join(process.tail() for process in processes))


def check(address, model, options):
    """What schemathesis says, 0 where it finds nothing."""
    program = shutil.which("schemathesis", path=str(pathlib.Path(sys.executable).parent)) or "schemathesis"
    more = [] if options.seed is None else ["--seed", str(options.seed)]
    if options.bodies:
        more += ["--include-method", "POST"]
    return subprocess.run(
        [program, "--config-file", str(FOLDER / "schemathesis.toml"), "run", f"{address}/openapi.json",
         "--warnings", "off", "--max-examples", str(options.examples), *more],
        cwd=tempfile.gettempdir(), check=False,
        env={**os.environ, "LLORCH_MODEL_NAME": model, "PYTHONPATH": os.pathsep.join(
            [str(FOLDER), str(ROOT / "Tests/EndToEndTests"), os.environ.get("PYTHONPATH", "")])}).returncode


def main():
    options = parse()
    workers = [("stub-worker", ["--engine", "stub:ms=0"])]
    if not options.no_model:
        workers.append(("llorch-worker", ["--model", options.model]))
    with tempfile.TemporaryDirectory() as folder:
        for worker, arguments in workers:
            print(f"▸ {worker}", flush=True)
            with served(pathlib.Path(folder), worker, arguments) as (address, model):
                if check(address, model, options):
                    sys.exit(1)


main()
