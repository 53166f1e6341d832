"""Free ports for tests: one truth about which were given."""
# SPDX-License-Identifier: Apache-2.0

import collections
import os
import random
import socket

# Above 32767 a peer that connects again may be given the port as its own.
FIRST, LAST = 12_000, 31_999
_given = collections.deque(maxlen=4_000)
# Of several processes of pytest-xdist each has ports of its own: a port that one has given may not be bound yet.
_PARTS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_PART = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _PARTS
_PORTS = range(FIRST + _PART, LAST + 1, _PARTS)


def free_ports(count):
    """Ports that nobody has bound, and none that was given lately: it may be about to be bound."""
    ports = []
    for port in random.SystemRandom().sample(_PORTS, len(_PORTS)):
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
        _given.append(port)
        if len(ports) == count:
            return ports
    raise AssertionError(f"no {count} free ports from {FIRST} to {LAST}")
