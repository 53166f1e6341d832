"""Dispatchers that die, freeze or read too slowly: T3, T5."""
# SPDX-License-Identifier: Apache-2.0

import errno
import re
import signal
import sys
import time

import zmq

from cases import case
from checker import check
from dispatcher import Rules
from processes import ROOT, Process, free_ports


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
        [sys.executable, ROOT / "Tests/fault/journal.py", "--journal", journal, "--events", run.events,
         "--jobs", jobs, "--prefix", f"mine-{run.seed}"], run.part / "dispatcher.out").start()
    kills, end = 0, time.monotonic() + 120 + jobs * 0.3
    while process.is_running() and time.monotonic() < end:
        # Counted from the moment at which it has read its journal, however long Python takes to start.
        if process.log.count("begins with") <= kills:
            process.wait(0.05)
            continue
        process.wait(every * run.random.uniform(0.7, 1.3))
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


@case("T5", "events that nobody reads")
def slow_reader(run, stopped=30.0, slow=60.0):
    """The reader is a socket that takes one message and then stops, as a stopped process does."""
    run.begin()
    run.dispatcher.close()
    run.dispatcher = None
    context = zmq.Context()
    events = context.socket(zmq.PULL)
    events.rcvhwm, events.linger, events.rcvbuf = 1, 0, 4096
    events.bind(run.events)
    worker = run.worker("w1", "stub:ms=0")
    if not events.poll(20_000):
        raise RuntimeError(f"the worker was not heard: {worker.tail()}")
    first = events.recv_json()
    jobs, control = context.socket(zmq.PUSH), context.socket(zmq.PUSH)
    for pipe in (jobs, control):
        pipe.linger = 0
    jobs.connect(first["jobs"])
    control.connect(first["control"])
    before = peak = worker.memory()
    ids = [f"unread-{run.seed}-{number}" for number in range(80)]
    for id in ids:
        jobs.send_json({"v": 1, "type": "job", "job_id": id, "attempt": 1, "prompt": "Hello",
                        "max_tokens": 2_048})
    heard, began = [first], time.monotonic()

    def listen(seconds, pause=0.0):
        nonlocal peak
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if pause:
                time.sleep(pause)
            if events.poll(200):
                heard.append(events.recv_json())
            peak = max(peak, worker.memory())

    while time.monotonic() - began < stopped:
        peak = max(peak, worker.memory())
        time.sleep(0.1)
    stalled = "nobody reads the events" in worker.log
    listen(slow, pause=1.0)
    # Cancelled while the outbox is full: the answer must come, behind what is in front of it.
    begin = time.monotonic()
    for id in ids:
        control.send_json({"v": 1, "type": "cancel", "job_id": id, "attempt": 1})
    terminals = {}
    end = time.monotonic() + 120
    asked = 0.0
    while len(terminals) < len(ids) and time.monotonic() < end:
        if events.poll(500):
            event = events.recv_json()
            heard.append(event)
            if event["type"] in ("end", "error") and event.get("job_id"):
                terminals[event["job_id"]] = event.get("code", "END")
        elif time.monotonic() - asked > 1:
            asked = time.monotonic()
            for id in ids:
                if id not in terminals:
                    control.send_json({"v": 1, "type": "cancel", "job_id": id, "attempt": 1})
        peak = max(peak, worker.memory())
    answered = time.monotonic() - begin
    numbers = [event["seq"] for event in heard]
    gaps = sum(b != a + 1 for a, b in zip(numbers, numbers[1:]))
    saw = any(event["type"] == "heartbeat" and event["state"] == "stalled" for event in heard)
    running = worker.is_running()
    context.destroy(linger=0)
    run.end()
    run.figure("the running job was paused", stalled, True, stalled)
    run.figure("state `stalled` seen by the reader", saw, True, saw)
    run.at_most("memory gained", (peak - before) / 2**20, 32.0, " MiB")
    run.exactly("gaps in seq", gaps, 0)
    run.exactly("jobs with a terminal event", len(terminals), len(ids))
    run.figure("the worker lives", running, True, running)
    unseen = set(range(numbers[0], max(numbers))) - set(numbers)
    run.measured["T5"] = {"events": len(heard), "cancels_answered_s": round(answered, 2),
                          "numbers never heard": len(unseen),
                          "heard behind a later one": sum(b < a for a, b in zip(numbers, numbers[1:]))}


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
    code = second.wait(10)
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
    run.end()
