"""Free ports for tests: one truth about which were given."""
# SPDX-License-Identifier: Apache-2.0

import collections
import random
import socket

# Above 32767 a peer that connects again may be given the port as its own.
FIRST, LAST = 12_000, 31_999
_given = collections.deque(maxlen=4_000)


def free_ports(count):
    """Ports that nobody has bound, and none that was given lately: it may be about to be bound."""
    ports = []
    for port in random.SystemRandom().sample(range(FIRST, LAST + 1), 12_000):
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
