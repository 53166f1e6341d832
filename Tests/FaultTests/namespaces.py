"""A network of its own for one worker: a cable that can be pulled, and a direction that can be made deaf.

Needs root (or CAP_SYS_ADMIN and CAP_NET_ADMIN) and iproute2; where these are missing, what is missing is said.
"""
# SPDX-License-Identifier: Apache-2.0

import os
import shutil
import subprocess


class NotPermitted(Exception):
    pass


def ip(*words):
    if not shutil.which("ip"):
        raise NotPermitted("`ip` is not there: sudo apt-get install iproute2")
    done = subprocess.run(["ip", *map(str, words)], capture_output=True, text=True, timeout=20,
                          check=False)
    if done.returncode != 0:
        raise NotPermitted(f"ip {' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout


class Cable:
    """Two addresses: `near` in this namespace, `far` in a new one."""

    def __init__(self):
        # The number of the process keeps two harnesses apart.
        number = os.getpid() % 60_000
        self.name = f"llorch{number}"
        self.link, self.other = f"ll{number}a", f"ll{number}b"
        net = f"10.{200 + number // 256 % 50}.{number % 256}"
        self.near, self.far = f"{net}.1", f"{net}.2"
        ip("netns", "add", self.name)
        try:
            ip("link", "add", self.link, "type", "veth", "peer", "name", self.other)
            ip("link", "set", self.other, "netns", self.name)
            ip("addr", "add", f"{self.near}/24", "dev", self.link)
            ip("link", "set", self.link, "up")
            self._inside("addr", "add", f"{self.far}/24", "dev", self.other)
            self._inside("link", "set", self.other, "up")
            self._inside("link", "set", "lo", "up")
        except NotPermitted:
            self.remove()
            raise

    def _inside(self, *words):
        ip("-n", self.name, *words)

    @property
    def prefix(self):
        """Puts a command inside."""
        return ["ip", "netns", "exec", self.name]

    def pull(self):
        ip("link", "set", self.link, "down")

    def plug(self):
        ip("link", "set", self.link, "up")

    def deafen(self):
        """What comes out of the worker is lost, what goes to it arrives: a half-open connection."""
        self._inside("route", "add", "blackhole", f"{self.near}/32")

    def mend(self):
        self._inside("route", "del", "blackhole", f"{self.near}/32")

    def remove(self):
        for words in (("netns", "del", self.name), ("link", "del", self.link)):
            try:
                ip(*words)
            except NotPermitted:
                pass
