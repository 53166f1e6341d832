"""A dispatcher in a process of its own that keeps a journal, so that it may be killed at any time.

usage, from Tests: python -m FaultTests.journal --journal FILE --events ADDRESS --jobs N --prefix P [--tokens N] [--window N]

Submissions and results are on disk before anything else happens (fsync); what was delivered and sent is written
whole, so that it survives the death of the process. Started again, it reads the journal and goes on.
"""
# SPDX-License-Identifier: Apache-2.0

import argparse
import os
import pathlib
import sys

from .dispatcher import Dispatcher, Rules
from .history import as_line, read

KEPT = ("submit", "send", "void", "deliver", "terminal", "event", "gap", "boot")


class Full(Exception):
    """No space: the submission was not taken (HTTP would answer 507)."""


class Journal:
    """The history of a dispatcher that appends and never buffers."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self._mend()
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def _mend(self):
        """Cuts off a line that its writer did not finish."""
        if self.path.exists():
            data = self.path.read_bytes()
            whole = data.rfind(b"\n") + 1
            if whole < len(data):
                os.truncate(self.path, whole)

    def write(self, kind, **members):
        if kind not in KEPT:
            return
        line = as_line(kind, members).encode()
        size = os.fstat(self._file).st_size
        try:
            if os.write(self._file, line) < len(line):
                raise OSError
            if kind in ("submit", "terminal"):
                os.fsync(self._file)
        except OSError as error:
            os.truncate(self.path, size)
            if kind in ("submit", "terminal", "deliver"):
                raise Full from error

    def close(self):
        os.close(self._file)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--journal", required=True)
    parser.add_argument("--events", required=True)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--tokens", type=int, default=16)
    parser.add_argument("--window", type=int, default=2)
    options = parser.parse_args()
    journal = Journal(options.journal)
    known = list(read(options.journal))
    dispatcher = Dispatcher(journal, options.events, Rules(window=options.window, poison=1_000))
    dispatcher.restore(known)
    submitted = sum(line["k"] == "submit" for line in known)
    print(f"begins with {submitted} of {options.jobs}, {len(dispatcher.jobs)} open, "
          f"{sum(len(peer.load) for peer in dispatcher.peers.values())} interrupted", flush=True)
    while submitted < options.jobs or dispatcher.jobs:
        # A few ahead of the workers, so that there is always something to interrupt.
        while submitted < options.jobs and len(dispatcher.jobs) < 32:
            dispatcher.submit(f"{options.prefix}-{submitted}", options.tokens)
            submitted += 1
        dispatcher.work(0.05)
    print("done", flush=True)
    dispatcher.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
