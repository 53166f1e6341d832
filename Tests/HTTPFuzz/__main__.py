"""Holds one conversation after another with a shim and a worker of known tokens, until the time is over."""
# SPDX-License-Identifier: Apache-2.0

import argparse
import collections
import pathlib
import random
import sys
import tempfile
import time

from PythonSupport.ports import free_ports
from PythonSupport.programs import PATIENCE, Process, binaries, serve_command

from .answers import Connection, Fault
from .conversation import hold


def main():
    parser = argparse.ArgumentParser(prog="scripts/fuzz http")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    port, events, jobs, control = free_ports(4)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="llorch-fuzz-http-"))
    shim = Process([binaries() / "llorch-http-shim", "--port", port, "--events", f"bind:tcp://127.0.0.1:{events}"],
                   folder / "shim.log").start()
    worker = Process(serve_command(
        binaries() / "stub-worker", name="w1", jobs=f"bind:tcp://127.0.0.1:{jobs}",
        control=f"bind:tcp://127.0.0.1:{control}", events=f"connect:tcp://127.0.0.1:{events}"),
        folder / "worker.log").start()
    held = collections.Counter()
    try:
        _until_healthy(port)
        end = time.monotonic() + options.seconds
        while time.monotonic() < end:
            held[hold(port, seed)] += 1
            if not shim.is_running():
                raise Fault(f"seed {seed}: the server ended\n{shim.tail()}")
            seed += 1
    except Fault as fault:
        print(fault)
        print(f"logs: {folder}")
        return 1
    finally:
        shim.kill()
        worker.kill()
        print(f"{sum(held.values())} conversations: "
              + ", ".join(f"{name} {count}" for name, count in sorted(held.items())))
    return 0


def _until_healthy(port):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            connection = Connection(port, PATIENCE)
            connection.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = connection.answer()
            connection.close()
            if answer and answer.status == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)  # between two questions, not in place of one
    raise Fault("no worker serves")


if __name__ == "__main__":
    sys.exit(main())
