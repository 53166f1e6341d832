"""Dispatchers that die, freeze or read too slowly: T3, T5."""
# SPDX-License-Identifier: Apache-2.0

import collections
import errno
import re
import sys
import time

import zmq

from PythonSupport.ports import free_ports
from PythonSupport.programs import ROOT, Process, binaries

from .cases import case
from .checker import check
from .dispatcher import Rules
from .oracle import stream


@case("T3", "a dispatcher that is killed")
def killed_dispatcher(run, jobs=2_000, every=3.0, workers=4):
    """Its client's view is the journal: what it says was delivered was delivered."""
    run.begin()
    run.dispatcher.close()
    run.dispatcher = None
    journal = run.part / "journal.jsonl"
    for number in range(workers):
        run.worker(f"w{number + 1}", "stub:ms=20")
    process = Process(
        [sys.executable, "-m", "FaultTests.journal", "--journal", journal, "--events", run.events,
         "--jobs", jobs, "--prefix", f"mine-{run.seed}"], run.part / "dispatcher.out",
        cwd=ROOT / "Tests").start()
    kills, end = 0, time.monotonic() + 120 + jobs * 0.3
    while process.is_running() and time.monotonic() < end:
        # Counted from the moment at which it has read its journal, however long Python takes to start.
        if process.log.count("begins with") <= kills:
            process.ended(0.05)
            continue
        process.ended(every * run.random.uniform(0.7, 1.3))
        run.supervisor.look()
        if process.is_running():
            process.kill()
            kills += 1
            process.start()
    out = process.log
    logs = [worker.log_path for worker in run.supervisor.workers.values()]
    process.kill()
    run.end()
    found = check(journal, logs)
    interrupted = sum(int(n) for n in re.findall(r"(\d+) interrupted", out))
    again = sum(found.executions.values()) - found.submitted
    run.measured["T3"] = found.summary()
    run.exactly("jobs submitted", found.submitted, jobs)
    run.at_least("kills", kills, min(10, jobs // 60))
    run.exactly("lost", len(found.lost), 0)
    run.exactly("duplicate terminal results", len(found.duplicate_terminals), 0)
    run.exactly("streams equal to the oracle's", found.right_streams, found.submitted)
    run.at_least("interrupted jobs finished by replay",
                 1 - again / interrupted if interrupted else 0.0, 0.6)


class Reader:
    """A socket for events that reads when it is told to, as a dispatcher that is stopped or slow does."""

    def __init__(self, run, engine, *, mark=1, buffer=4096):
        run.begin()
        run.dispatcher.close()
        run.dispatcher = None
        self.context = zmq.Context()
        self.events = self.context.socket(zmq.PULL)
        self.events.rcvhwm, self.events.linger, self.events.rcvbuf = mark, 0, buffer
        self.events.bind(run.events)
        self.worker = run.worker("w1", engine)
        if not self.events.poll(20_000):
            raise RuntimeError(f"the worker was not heard: {self.worker.tail()}")
        first = self.events.recv_json()
        self.pipes = {}
        for kind in ("jobs", "control"):
            pipe = self.pipes[kind] = self.context.socket(zmq.PUSH)
            pipe.linger = 0
            pipe.connect(first[kind])
        self.before = self.peak = self.worker.memory()
        self.numbers, self.states = [first["seq"]], {first["state"]}
        self.ids, self.ends = {}, {}

    def submit(self, names, tokens):
        for name in names:
            self.ids.setdefault(name, [])
            self.pipes["jobs"].send_json({"v": 1, "type": "job", "job_id": name, "attempt": 1,
                                          "prompt": "Hello", "max_tokens": tokens})

    def cancel(self, names):
        for name in names:
            self.pipes["control"].send_json({"v": 1, "type": "cancel", "job_id": name, "attempt": 1})

    def look(self):
        self.peak = max(self.peak, self.worker.memory())

    def wait(self, seconds, until=lambda: False):
        """Reads nothing."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            self.look()
            time.sleep(0.1)
        return until()

    def read(self, seconds, *, pause=0.0, until=lambda: False):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            time.sleep(pause)
            if self.events.poll(200):
                self._take(self.events.recv_json())
            if len(self.numbers) % 100 == 0 or pause:
                self.look()
        return until()

    def _take(self, event):
        self.numbers.append(event["seq"])
        name = event.get("job_id")
        if event["type"] == "heartbeat":
            self.states.add(event["state"])
        elif event["type"] in ("end", "error"):
            # A number of tokens that are not all here: something in between is missing.
            if event["type"] == "error" or event["tokens_out"] == len(self.ids[name]):
                self.ends[name] = event.get("code", "END")
        elif event["type"] == "token" and event["i"] <= len(self.ids[name]):
            self.ids[name][event["i"]:] = event["ids"]

    def is_stalled(self):
        return "nobody reads the events" in self.worker.log

    def close(self, run):
        """Figures that hold however long nobody read."""
        alive = self.worker.is_running()
        self.context.destroy(linger=0)
        run.end()
        wrong = [name for name, ids in self.ids.items() if ids != stream(name, len(ids))[0]]
        gaps = sum(b != a + 1 for a, b in zip(self.numbers, self.numbers[1:]))
        unseen = set(range(self.numbers[0], max(self.numbers))) - set(self.numbers)
        run.at_most("memory gained", (self.peak - self.before) / 2**20, 32.0, " MiB")
        run.exactly("gaps in seq", gaps, 0)
        run.exactly("jobs with a terminal event", len(self.ends), len(self.ids))
        run.exactly("wrong streams", len(wrong), 0)
        run.figure("the worker lives", alive, True, alive)
        run.measured[run.case.id] = {"events": len(self.numbers), "never heard": len(unseen),
                                     "codes": dict(collections.Counter(self.ends.values()))}


@case("T5", "a reader that is stopped, then slow")
def slow_reader(run, jobs=80, stopped=30.0, slow=60.0):
    reader = Reader(run, "stub:ms=0")
    names = [f"unread-{run.seed}-{number}" for number in range(jobs)]
    reader.submit(names, 2_048)
    reader.wait(stopped)
    reader.read(slow, pause=1.0)
    reader.read(120, until=lambda: len(reader.ends) == jobs)
    reader.close(run)


@case("T5.2", "an outbox that fills up")
def full_outbox(run, jobs=1_200, patience=120.0):
    reader = Reader(run, "stub:ms=0")
    names = [f"stall-{run.seed}-{number}" for number in range(jobs)]
    reader.submit(names, 2_048)
    stalled = reader.wait(patience, reader.is_stalled)
    reader.wait(3)
    log = reader.worker.log
    begun, ended = (re.findall(rf"job_id=(\S+).*job {word}", log) for word in ("begins", "ended"))
    running = set(begun) - set(ended)
    begin = time.monotonic()
    reader.cancel(running)
    reader.wait(5, lambda: all(re.search(rf"job_id={name} .*job ended", reader.worker.log)
                               for name in running))
    seconds = time.monotonic() - begin
    # A full outbox takes no answer that is asked for again, and a cancel is, until its job's end is heard.
    for _ in range(60):
        reader.cancel(name for name in names if name not in reader.ends)
        if reader.read(2, until=lambda: len(reader.ends) == jobs):
            break
    run.figure("the running job was paused", stalled, True, stalled)
    run.exactly("jobs paused", len(running), 1)
    run.at_most("the paused job ends after its cancel", seconds, 1.0, " s")
    saw = "stalled" in reader.states
    run.figure("state `stalled` seen by the reader", saw, True, saw)
    reader.close(run)


@case("T5.3", "nobody reads for ten minutes")
def no_reader(run, minutes=10.0):
    """200 tokens a second; in the end whatever did not come is asked for again, as rule 2 has it."""
    reader = Reader(run, "stub:ms=5")
    jobs = round(minutes * 6)
    names = [f"alone-{run.seed}-{number}" for number in range(jobs)]
    reader.submit(names, 2_048)
    reader.wait(minutes * 60)
    for _ in range(20):
        if reader.read(10, until=lambda: len(reader.ends) == jobs):
            break
        reader.submit([name for name in names if name not in reader.ends], 2_048)
    reader.close(run)


@case("T8", "each endpoint in both directions", smoke=None)
def directions(run, jobs=200):
    for number in range(12):
        turned_jobs, turned_events = number % 2, number // 2 % 2
        transport = ("tcp", "ipc", "mixed")[number // 4]
        folder = run.folder / f"d{number}"
        folder.mkdir()

        def address(pipe, folder=folder, transport=transport):
            if transport == "ipc" or transport == "mixed" and pipe == "events":
                return f"ipc://{folder}/{pipe}"
            return f"tcp://127.0.0.1:{free_ports(1)[0]}"

        events, first, second = address("events"), address("jobs"), address("control")
        where = (f"bind:{first}", f"bind:{second}") if turned_jobs else (first, second)
        dispatcher = run.begin(Rules(window=4), addresses={"w": where},
                               events=f"connect:{events}" if turned_events else events)
        worker = run.worker("w", "stub:ms=0", events=events, jobs=first, control=second)
        # The last of a repeated option counts: these replace what Worker chose.
        turned = []
        if turned_jobs:
            turned += ["--jobs", f"connect:{first}", "--control", f"connect:{second}"]
        if turned_events:
            turned += ["--events", f"bind:{events}"]
        if turned:
            worker.kill()
            worker.command += turned
            worker.start()
        dispatcher.until_workers(1)
        for count in range(jobs):
            dispatcher.submit(f"turn-{run.seed}-{number}-{count}", 4)
        run.finish(60)
        found = run.check(prefix=f"{transport}, jobs {'turned' if turned_jobs else 'as usual'}, "
                                 f"events {'turned' if turned_events else 'as usual'}: ")
        del found
    lottery(run, jobs)
    second_binders(run)


def lottery(run, jobs):
    """One bound PUSH that deals jobs to whoever is connected: rules 1 to 4 must do without addresses."""
    context = zmq.Context()
    events, pipe = context.socket(zmq.PULL), context.socket(zmq.PUSH)
    events.rcvhwm = 0
    first, second = free_ports(2)
    address = f"tcp://127.0.0.1:{first}"
    run.begin(events=f"tcp://127.0.0.1:{second}")
    run.dispatcher.close()
    run.dispatcher = None
    events.bind(f"tcp://127.0.0.1:{second}")
    pipe.bind(address)
    for name in ("a", "b"):
        worker = run.worker(name, "stub:ms=0")
        worker.kill()
        worker.command += ["--jobs", f"connect:{address}"]
        worker.start()
    names, ends = set(), {}
    end = time.monotonic() + 60
    sent = set()
    while time.monotonic() < end and len(ends) < jobs:
        if len(names) == 2:
            for number in range(jobs):
                if number not in sent and len(sent) - len(ends) < 8:
                    sent.add(number)
                    pipe.send_json({"v": 1, "type": "job", "job_id": f"lot-{number}", "attempt": 1,
                                    "prompt": "Hello", "max_tokens": 4})
        if events.poll(100):
            event = events.recv_json()
            if event["type"] == "heartbeat":
                names.add(event["worker"])
            elif event["type"] in ("end", "error"):
                ends.setdefault(event["job_id"], []).append(event["type"])
    context.destroy(linger=0)
    run.end()
    run.exactly("lottery: jobs with one end", sum(kinds == ["end"] for kinds in ends.values()), jobs)


def second_binders(run):
    folder = run.folder / "second"
    folder.mkdir()
    run.begin()
    ipc = {"jobs": f"ipc://{folder}/jobs", "control": f"ipc://{folder}/control"}
    run.worker("first", "stub:ms=1", **ipc)
    run.dispatcher.until_workers(1)
    begin = time.monotonic()
    second = run.worker("second", "stub:ms=1", **ipc)
    code = second.ended(10)
    seconds = time.monotonic() - begin
    run.figure("second worker on one ipc path", f"exit {code}: {second.tail(1)[:90]}",
               "exit 1 and a message", code == 1 and "in use" in second.log)
    run.at_most("it refuses within", seconds, 1.0, " s")
    del run.supervisor.workers["second"]
    taken = zmq.Context()
    pull = taken.socket(zmq.PULL)
    try:
        pull.bind(run.events)
        refusal = "none"
    except zmq.ZMQError as problem:
        refusal = errno.errorcode.get(problem.errno, problem.errno)
    taken.destroy(linger=0)
    run.exactly("second consumer of tcp events", refusal, "EADDRINUSE")
    seconds = []
    for _ in range(3):
        (port,) = free_ports(1)
        shim = Process([binaries() / "llorch-http-shim", "--port", port, "--events", f"bind:{run.events}"],
                       run.part / "second-shim.log")
        begin = time.monotonic()
        code = shim.start().ended(10)
        seconds.append(time.monotonic() - begin)
    run.figure("shim on events that have a reader", f"exit {code}: {shim.tail(1)[:90]}",
               "exit 1 and a message", code == 1 and "in use" in shim.log)
    run.at_most("it refuses within", min(seconds), 1.0, " s")
    run.end()
