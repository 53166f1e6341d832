"""Keeps connections half open, always new ones: `python -m PythonSupport.half_open PORT COUNT`.

Each begins a greeting of ZMTP and never ends it. Prints `open` when there are COUNT of them, and a line `cut` for each
that the other side closed, in whose place a new one is opened.
"""
# SPDX-License-Identifier: Apache-2.0

import contextlib
import pathlib
import select
import socket
import subprocess
import sys


@contextlib.contextmanager
def half_open_connections(port, count):
    """The process, whose output may be read, while the connections are held."""
    flood = subprocess.Popen(
        [sys.executable, "-m", "PythonSupport.half_open", str(port), str(count)],
        cwd=pathlib.Path(__file__).resolve().parents[1], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        if flood.stdout.readline() != b"open\n":
            raise AssertionError("the connections could not be opened")
        yield flood
        if flood.poll() is not None:
            raise AssertionError("the connections were not kept")
    finally:
        flood.kill()
        flood.wait()


def main(port, count):
    poll, held = select.poll(), {}

    def more():
        connection = socket.create_connection(("127.0.0.1", port))
        connection.send(b"\xff" + bytes(8))
        held[connection.fileno()] = connection
        poll.register(connection, select.POLLIN | select.POLLHUP | select.POLLERR)

    for _ in range(count):
        more()
    print("open", flush=True)
    while True:
        for descriptor, _ in poll.poll():
            try:
                is_open = held[descriptor].recv(4096) != b""
            except OSError:
                is_open = False
            if not is_open:
                poll.unregister(descriptor)
                held.pop(descriptor).close()
                more()
                print("cut", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
