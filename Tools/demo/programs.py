"""The two programs as processes, and the build of one that goes on while the other already answers."""
# SPDX-License-Identifier: Apache-2.0

import contextlib
import fcntl
import os
import pathlib
import pty
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time

from terminal import BOLD, PLAIN, Failure, good, no_passing, passing, show_command

ROOT = pathlib.Path(__file__).resolve().parents[2]


def free_ports(count):
    """Free ports below those that the system gives to outgoing connections."""
    with contextlib.ExitStack() as probes:
        ports = []
        for port in random.sample(range(20000, 32000), 1000):
            probe = probes.enter_context(socket.socket())
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            ports.append(port)
            if len(ports) == count:
                return ports
    raise Failure(f"no {count} free ports between 20000 and 32000")


class Program:
    """One of the two programs, with its log."""

    def __init__(self, folder, *command, name=None):
        self.name = name or pathlib.Path(command[0]).name
        self.log = pathlib.Path(folder) / f"{self.name}.log"
        self.command = command
        show_command(command)
        self.start()

    def start(self):
        """Once more where it was killed; the log goes on."""
        with open(self.log, "ab") as output:
            # Ctrl-C is for this script, which asks the programs to end: a second signal would end them at once.
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                cwd=ROOT, start_new_session=True)

    def check(self):
        if self.process.poll() is not None:
            raise Failure(f"{self.name} ended with {self.process.returncode}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(15)
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} did not stop within 15 s of SIGTERM") from None
        if status:
            raise Failure(f"{self.name} ended with {status} after SIGTERM, not with 0")
        good(f"{self.name} ended with 0")

    def has_logged(self, message, job_id):
        return any(message in line and job_id in line
                   for line in self.log.read_text(errors="replace").splitlines())

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def show_log(self):
        print(f"\n{BOLD}the end of {self.name}'s log{PLAIN}", file=sys.stderr)
        print("\n".join(self.log.read_text(errors="replace").splitlines()[-20:]), file=sys.stderr)


class Build:
    """`swift build` of a product in the background, in a session of its own, so that all of it can be ended."""

    def __init__(self, folder, product):
        self.product = product
        self.log = pathlib.Path(folder) / f"build-{product}.log"
        self.began = time.monotonic()
        # nice: the text that is written meanwhile comes first.
        command = ["nice", "swift", "build", "-c", "release", "--product", product]
        with open(self.log, "wb") as log:
            output, ends = (log, ()) if not sys.stdout.isatty() else self._terminal()
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True)
        for end in ends:
            os.close(end)

    def _terminal(self):
        """On a terminal the compiler is told to use colour, and a change of its options compiles everything anew: so
        here too, where the build by hand before and after this one is on a terminal.
        """
        reader, writer = pty.openpty()
        fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        threading.Thread(target=self._copy, args=(reader,), daemon=True).start()
        return writer, (writer,)

    def _copy(self, reader):
        with open(self.log, "ab", buffering=0) as log:
            # Ends with an error when nobody has the other side open any more.
            with contextlib.suppress(OSError):
                while data := os.read(reader, 1 << 16):
                    log.write(data)
        os.close(reader)

    def lines(self):
        """What it printed, without what moves the cursor."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
        return [line.rstrip() for line in re.split(r"[\r\n]+", plain) if line.strip()]

    def wait(self):
        """Shows how far it is; raises Failure where it failed."""
        while self.process.poll() is None:
            seconds = time.monotonic() - self.began
            passing(f"{seconds:.0f} s: {(self.lines() or ['swift build'])[-1]}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.5)
        no_passing()
        if self.process.returncode:
            ending = "\n".join(self.lines()[-30:])
            raise Failure(f"{self.product} does not build. The worker does, and answered above. "
                          f"swift build ends:\n{ending}")
        good(f"{self.product} built in {time.monotonic() - self.began:.0f} s")

    def stop(self):
        """Ends it with all that it started. swift build ends its compilers itself when it is asked to end."""
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
        for pid in members(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def members(session):
    """The processes of a session, whatever process group each is in."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # pid (name) state parent group session: the name may hold anything.
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(stat.parent.name))
    return found
