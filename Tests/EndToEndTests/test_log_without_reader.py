"""A log that nobody takes, a full pipe or one whose reader is gone, holds nothing up and ends nothing."""
# SPDX-License-Identifier: Apache-2.0

import array
import fcntl
import os
import re
import termios

import pytest

from harness import Worker
from shim import Shim, assert_stream

MISSING = re.compile(rb"^warning: (\d+) log lines are missing here", re.MULTILINE)


class Log:
    """A pipe for a program's log. Who reads it, and when, is up to the test."""

    def __init__(self):
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)

    def read(self):
        """All there is."""
        text = b""
        try:
            while part := os.read(self.reader, 1 << 16):
                text += part
        except BlockingIOError:
            pass
        return text

    def close_writer(self):
        """Here; the program has it too."""
        if self.writer is not None:
            os.close(self.writer)
        self.writer = None

    def close_reader(self):
        if self.reader is not None:
            os.close(self.reader)
        self.reader = None


@pytest.fixture
def log():
    log = Log()
    yield log
    log.close_writer()
    log.close_reader()


def unread(descriptor):
    """Bytes in a pipe."""
    count = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, count)
    return count[0]


def finish_jobs(dispatcher, count):
    jobs = [dispatcher.send(max_tokens=2) for _ in range(count)]
    for job in jobs:
        assert dispatcher.finish(job)[-1]["type"] == "end"


def test_a_worker_goes_on(start, worker_binary, tiny_model, dispatcher, log):
    dispatcher.attach(start(
        Worker, worker_binary, name="w1", events_port=dispatcher.events_port, output=log.writer,
        model=tiny_model))
    log.close_writer()
    finish_jobs(dispatcher, 600)
    text = log.read()
    assert 20_000 < len(text) < 200_000, "600 jobs have more to say than a pipe holds"
    assert text.endswith(b"\n") and not MISSING.search(text)
    finish_jobs(dispatcher, 1)
    ends = text.count(b"job ended")
    (missing,) = map(int, MISSING.findall(log.read()))
    # Two lines a job.
    assert abs(missing - 2 * (600 - ends)) <= 1
    log.close_reader()
    finish_jobs(dispatcher, 10)


def test_a_shim_goes_on(start, shim_binary, worker_binary, tiny_model, log):
    shim = start(Shim, shim_binary, output=log.writer, arguments=["--log-level", "trace"])
    log.close_writer()
    start(Worker, worker_binary, name="w1", events_port=shim.events_port, model=tiny_model)
    shim.until_healthy()

    def serve(count):
        for number in range(count):
            assert_stream(shim.execute(job_id=f"j{number}", max_tokens=2))

    # Until lines find no room; a pipe counts pages, which are never quite full.
    before = -1
    while before < (held := unread(log.reader)):
        before = held
        serve(10)
    serve(50)
    log.read()
    serve(1)
    assert MISSING.search(log.read())
    log.close_reader()
    serve(10)
