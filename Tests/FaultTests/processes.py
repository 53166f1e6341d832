"""Workers of the fault tests, on addresses that they keep, and who starts them again. Nothing here knows the
protocol.
"""
# SPDX-License-Identifier: Apache-2.0

import resource
import signal
import time

from PythonSupport.ports import free_ports
from PythonSupport.programs import Process, binaries, serve_command


def raise_file_limit():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))


class Worker(Process):
    """A worker on addresses that it keeps over restarts: stub-worker, whose every token is known, or, where
    `engine` is None, the llorch-worker that is shipped.
    """

    def __init__(self, name, events, folder, *, engine="stub:ms=5", jobs=None, control=None,
                 arguments=()):
        if jobs is None:
            first, second = free_ports(2)
            jobs, control = f"tcp://127.0.0.1:{first}", f"tcp://127.0.0.1:{second}"
        self.name = name
        self.jobs, self.control = jobs, control
        program = "stub-worker" if engine else "llorch-worker"
        super().__init__(
            serve_command(
                binaries() / program, name=name, jobs=f"bind:{jobs}", control=f"bind:{control}",
                events=f"connect:{events}",
                arguments=[*(["--engine", engine] if engine else []),
                           "--state-directory", folder / f"{name}.state", *arguments]),
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
