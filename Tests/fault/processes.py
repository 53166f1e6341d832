"""Processes of ours: started, killed, stopped and looked at by pid. Nothing here knows the protocol."""
# SPDX-License-Identifier: Apache-2.0

import os
import pathlib
import random
import resource
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARIES = pathlib.Path(os.environ.get("LLORCH_BIN_DIR", ROOT / ".build/release"))


def free_ports(count):
    """Ports below 32768, above which a reconnecting peer may be given them as its own."""
    ports = []
    for port in random.SystemRandom().sample(range(12000, 32000), 4000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise RuntimeError(f"no {count} free ports from 12000 to 32000")


def raise_file_limit():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))


class Process:
    """A program with its output appended to a file; a restart keeps command and file."""

    def __init__(self, command, log, env=None):
        self.command = [str(part) for part in command]
        self.log_path = pathlib.Path(log)
        self.env = env
        self.popen = None

    def start(self, extra=()):
        with open(self.log_path, "ab") as output:
            self.popen = subprocess.Popen(
                self.command + [str(part) for part in extra], stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, cwd=ROOT, env=self.env)
        return self

    @property
    def pid(self):
        return self.popen.pid

    @property
    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def is_running(self):
        return self.popen is not None and self.popen.poll() is None

    def signal(self, number):
        if self.is_running():
            self.popen.send_signal(number)

    def kill(self):
        """SIGKILL, and waits until it is gone."""
        self.signal(signal.SIGKILL)
        if self.popen:
            self.popen.wait(30)

    def wait(self, seconds):
        """The exit code; None where it still runs."""
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

    def tail(self, lines=12):
        return "\n".join(self.log.splitlines()[-lines:])


class Worker(Process):
    """`llorch-worker serve` with the stub engine, on addresses that it keeps over restarts."""

    def __init__(self, name, events, folder, *, engine="stub:ms=5", jobs=None, control=None,
                 arguments=()):
        if jobs is None:
            first, second = free_ports(2)
            jobs, control = f"tcp://127.0.0.1:{first}", f"tcp://127.0.0.1:{second}"
        self.name = name
        self.jobs, self.control = jobs, control
        super().__init__(
            [BINARIES / "llorch-worker", "serve", "--worker-id", name, "--engine", engine,
             "--jobs", f"bind:{jobs}", "--control", f"bind:{control}", "--events", f"connect:{events}",
             "--state-directory", folder / f"{name}.state", *arguments],
            folder / f"{name}.log")
        (folder / f"{name}.state").mkdir(exist_ok=True)


class Supervisor:
    """Starts workers again when they end, as systemd does; remembers what ended how."""

    def __init__(self, history, pause=0.2):
        self.history = history
        self.pause = pause
        self.workers = {}
        self.ends = []
        self._due = {}

    def add(self, worker, extra=()):
        self.workers[worker.name] = worker.start(extra)
        return worker

    def look(self):
        """To be called often."""
        now = time.monotonic()
        for name, worker in self.workers.items():
            if worker.is_running():
                continue
            if name not in self._due:
                code = worker.popen.returncode
                self.ends.append((name, code))
                self.history.write("exit", worker=name, code=code)
                self._due[name] = now + self.pause
            elif now >= self._due[name]:
                del self._due[name]
                worker.start()
                self.history.write("start", worker=name, pid=worker.pid)

    def kill(self, name):
        worker = self.workers[name]
        if worker.is_running():
            self.history.write("fault", what="kill", worker=name, pid=worker.pid)
            worker.kill()
            return True
        return False

    def stop(self):
        for worker in self.workers.values():
            worker.signal(signal.SIGCONT)
            worker.kill()
