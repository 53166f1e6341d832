"""What every fault test has: a folder, a seed, workers, a dispatcher, and figures reached against figures to reach."""
# SPDX-License-Identifier: Apache-2.0

import dataclasses
import pathlib
import random
import time

from PythonSupport.ports import free_ports
from PythonSupport.programs import PATIENCE

from .checker import check
from .dispatcher import Dispatcher, Rules
from .history import History
from .processes import Supervisor, Worker

CASES = {}


@dataclasses.dataclass
class Case:
    id: str
    title: str
    function: object
    smoke: dict | None


def case(id, title, smoke=None):
    """Registers a test; `smoke` holds the arguments of its short form, if it has one."""
    def register(function):
        assert id not in CASES, f"two tests are called {id}"
        CASES[id] = Case(id, title, function, smoke)
        return function
    return register


@dataclasses.dataclass
class Figure:
    name: str
    reached: str
    goal: str
    ok: bool


def percentile(values, share):
    """Nearest rank; infinite where there are no values, so that an empty measurement fails."""
    if not values:
        return float("inf")
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, max(0, -(-len(ranked) * share // 100) - 1))]


class Run:
    """One run of one test."""

    def __init__(self, case, seed, folder, broken=None, is_timed=True):
        self.case = case
        self.seed = seed
        self.random = random.Random(f"{case.id} {seed}")
        self.folder = pathlib.Path(folder)
        self.broken = broken
        self.is_timed = is_timed
        self.figures = []
        self.measured = {}
        self.history = None
        self.supervisor = None
        self.dispatcher = None
        self._part = 0

    # Set up and take down

    def begin(self, rules=None, *, addresses=None, events=None, keys=None, pause=0.2):
        """A fresh history, dispatcher and supervisor: a test may have several parts."""
        self.end()
        self._part += 1
        self.part = self.folder / f"part-{self._part}"
        self.part.mkdir(parents=True)
        self.history = History(self.part / "history.jsonl")
        rules = rules or Rules()
        if self.broken in ("fencing", "resend", "boot_check", "resume", "crash_note"):
            setattr(rules, self.broken, False)
        if not self.is_timed:
            # A worker that others keep from computing is not dead.
            rules.lease = max(rules.lease, PATIENCE)
        (port,) = free_ports(1)
        self.events = events or f"tcp://127.0.0.1:{port}"
        self.supervisor = Supervisor(self.history, pause)
        self.dispatcher = Dispatcher(self.history, self.events, rules, addresses=addresses,
                                     keys=keys)
        return self.dispatcher

    def worker(self, name, engine="stub:ms=5", *, events=None, extra=(), **options):
        if engine and self.broken in ("replay", "tombstones"):
            engine += f",{self.broken}=0" if ":" in engine else f":{self.broken}=0"
        worker = Worker(name, events or self.events, self.part, engine=engine, **options)
        return self.supervisor.add(worker, extra)

    def workers(self, count, engine="stub:ms=5", **options):
        started = [self.worker(f"w{n + 1}", engine, **options) for n in range(count)]
        self.dispatcher.until_workers(count)
        return started

    def end(self):
        if self.supervisor:
            self.supervisor.stop()
        if self.dispatcher:
            self.dispatcher.close()
        if self.history:
            self.history.close()
        self.supervisor = self.dispatcher = self.history = None

    # Doing

    def kill(self, name):
        """SIGKILL, with a note of the jobs the worker had."""
        worker = self.supervisor.workers[name]
        if not worker.is_running():
            return False
        peer = self.dispatcher.peers.get(name)
        self.history.write("fault", what="kill", worker=name, pid=worker.pid,
                           held=list(peer.load) if peer else [])
        worker.kill()
        return True

    def finish(self, seconds, every=None):
        def look():
            self.supervisor.look()
            if every:
                every()
        return self.dispatcher.finish(seconds, look)

    def run_for(self, seconds, every=None):
        end = time.monotonic() + seconds

        def look():
            self.supervisor.look()
            if every:
                every()
        self.dispatcher.run(lambda: time.monotonic() >= end, seconds + 1, look)

    # Judging

    def figure(self, name, reached, goal, ok, is_of_time=False):
        """A figure of time says as much about the machine as about the worker: untimed, it is only printed."""
        is_judged = self.is_timed or not is_of_time
        figure = Figure(name, str(reached), str(goal), bool(ok) or not is_judged)
        self.figures.append(figure)
        mark = "-- " if not is_judged else "ok " if ok else "BAD"
        print(f"  {mark} {name}: {reached} (to reach: {goal})", flush=True)

    def at_most(self, name, reached, goal, unit="", is_of_time=False):
        text = f"{reached:.3g}{unit}" if isinstance(reached, float) else f"{reached}{unit}"
        self.figure(name, text, f"≤ {goal}{unit}", reached <= goal, is_of_time or unit in (" s", " ms"))

    def exactly(self, name, reached, goal):
        self.figure(name, reached, goal, reached == goal)

    def at_least(self, name, reached, goal, unit="", is_of_time=False):
        text = f"{reached:.3g}{unit}" if isinstance(reached, float) else f"{reached}{unit}"
        self.figure(name, text, f"≥ {goal}{unit}", reached >= goal, is_of_time)

    def found(self):
        """Ends the part and puts its history before the checker."""
        idle = not self.dispatcher.jobs and not any(p.load for p in self.dispatcher.peers.values())
        counts = dict(self.dispatcher.counts)
        logs = [worker.log_path for worker in self.supervisor.workers.values()]
        self.end()
        found = check(self.part / "history.jsonl", logs)
        found.idle = idle
        self.measured[f"part {self._part}"] = {**found.summary(), **counts}
        return found

    def check(self, *, ends_only=True, prefix="", parts=None):
        """C1 to C3, and C6, of this part or of several."""
        found = self.found() if parts is None else sum(parts[1:], parts[0])
        self.exactly(f"{prefix}lost", len(found.lost), 0)
        self.exactly(f"{prefix}duplicate terminal results", len(found.duplicate_terminals), 0)
        self.exactly(f"{prefix}wrong streams", len(set(found.wrong_streams)), 0)
        self.exactly(f"{prefix}events taken though void or after the end",
                     found.taken_after_end + found.taken_though_void, 0)
        if ends_only:
            self.exactly(f"{prefix}streams equal to the oracle's", found.right_streams, found.submitted)
        self.figure(f"{prefix}tables empty at the end", "yes" if found.idle else "no", "yes",
                    found.idle)
        return found
