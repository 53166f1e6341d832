"""The programs under test as processes: started, signalled, waited for and looked at by pid."""
# SPDX-License-Identifier: Apache-2.0

import os
import pathlib
import signal
import subprocess

# Tests read the lines that people read; those about JSON ask for it.
os.environ["LLORCH_LOG_FORMAT"] = "text"
ROOT = pathlib.Path(__file__).resolve().parents[2]
# Seconds, after which a wait is given up: several times what anything here took on two cores with a load of 14.
PATIENCE = 180.0


def binaries():
    """Where the built programs are."""
    return pathlib.Path(os.environ.get("LLORCH_BIN_DIR", ROOT / ".build/release"))


def serve_command(binary, *, name, jobs, control, events, arguments=()):
    """A worker's command line. llorch-worker has the command `serve`; stub-worker does nothing else."""
    binary = pathlib.Path(binary)
    verb = [] if binary.name == "stub-worker" else ["serve"]
    return [binary, *verb, "--worker-id", name, "--jobs", jobs, "--control", control, "--events", events,
            *arguments]


class Process:
    """A program with its output appended to a file, or given to `output`; a restart keeps command and file."""

    def __init__(self, command, log, *, output=None, env=None, cwd=ROOT):
        self.command = [str(part) for part in command]
        self.log_path = pathlib.Path(log)
        self.output, self.env, self.cwd = output, env, cwd
        self.popen = None

    def start(self, extra=()):
        with open(self.log_path, "ab") as file:
            self.popen = subprocess.Popen(
                self.command + [str(part) for part in extra], stdin=subprocess.DEVNULL,
                stdout=self.output or file, stderr=subprocess.STDOUT, cwd=self.cwd, env=self.env)
        return self

    @property
    def pid(self):
        return self.popen.pid

    @property
    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def tail(self, lines=20):
        return "\n".join(self.log.splitlines()[-lines:])

    def is_running(self):
        return self.popen is not None and self.popen.poll() is None

    def signal(self, number):
        if self.is_running():
            self.popen.send_signal(number)

    def kill(self):
        """SIGKILL, and waits until it is gone."""
        self.signal(signal.SIGKILL)
        if self.popen:
            self.popen.wait(PATIENCE)

    def ended(self, seconds):
        """The exit code; None where the process still runs after that time."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def memory(self):
        """Resident bytes."""
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))
