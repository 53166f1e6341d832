"""history.jsonl: every submission, message, delivery and fault of a run, with its time.

Written by the harness while a run goes on, read by checker.py afterwards; nothing is decided here. A dispatcher
that may be killed keeps its journal in the same form: journal.py.
"""
# SPDX-License-Identifier: Apache-2.0

import json
import threading
import time


class History:
    def __init__(self, path):
        self.path = path
        self._file = open(path, "w", encoding="utf-8", buffering=1 << 16)
        self._lock = threading.Lock()

    def write(self, kind, **members):
        with self._lock:
            if not self._file.closed:
                self._file.write(as_line(kind, members))

    def close(self):
        with self._lock:
            self._file.close()


def as_line(kind, members):
    return json.dumps({"t": round(time.monotonic(), 6), "k": kind, **members}, separators=(",", ":")) + "\n"


def read(path):
    """The lines of a history; one cut off by a crash of its writer is left out."""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            if line.endswith("\n"):
                yield json.loads(line)
