"""How soon the shipped worker answers, leaves and shows that it lives while a real model computes: T13.2, T17.2, T25.

These are figures of time, for a machine that does nothing else. What holds on any machine, that a cancel is answered
inside a prefill and that a heartbeat comes there, is tested in Tests/EndToEndTests.
"""
# SPDX-License-Identifier: Apache-2.0

import os
import signal
import socket
import time

from PythonSupport.programs import PATIENCE

from .cases import case, percentile
from .dispatcher import Rules
from .models import LONG_PROMPT, base_model
from .processes import Worker
from .time_cases import Cancels


@case("T13.2", "cancel latency of a model that computes")
def computing_cancel_latency(run, cancels=100):
    """GPT-2's 124M sizes. Two fifths of the jobs are in prefill, two fifths decode, one fifth waits in the queue."""
    made = Cancels(run)
    run.worker("w1", None, arguments=["--model", base_model()])
    made.dispatcher.until_workers(1)
    taken = {"prefill": [], "decode": [], "queued": []}
    for number in range(cancels):
        stage = ("prefill", "decode", "prefill", "decode", "queued")[number % 5]
        id = f"{stage}-{run.seed}-{number}"
        if stage == "queued":
            ahead = made.place(id + "-ahead", "w1", 900)
            made.place(id, "w1", 8)
            made.dispatcher.run(lambda: ahead.is_running, PATIENCE)
        elif stage == "prefill":
            job = made.place(id, "w1", 8, prompt=LONG_PROMPT)
            made.dispatcher.run(lambda: job.is_running, PATIENCE)
            run.run_for(run.random.uniform(0, 0.4))
        else:
            job, count = made.place(id, "w1", 900), run.random.randrange(1, 6)
            made.dispatcher.run(lambda: len(job.ids) >= count, PATIENCE)
            run.run_for(run.random.uniform(0, 0.03))
        taken[stage].append(made.cancel(id))
        if stage == "queued":
            made.cancel(id + "-ahead")
    every = sum(taken.values(), [])
    run.end()
    run.measured["T13.2"] = {
        stage: {f"p{p}": round(percentile(times, p) * 1000, 1) for p in (50, 99)}
        for stage, times in taken.items()}
    print(f"      {run.measured['T13.2']} ms", flush=True)
    run.exactly("cancels answered as cancelled",
                sum(codes == ["CANCELLED"] for codes in made.terminals.values()), len(made.terminals))
    run.at_most("cancel p99", percentile(every, 99) * 1000, 100.0, " ms")


@case("T17.2", "how soon a worker leaves")
def leaving(run, times=5):
    """Idle; at the end of its time to drain; and at a second signal."""
    seconds = {"idle": [], "half a second to drain": [], "a second signal": []}
    codes = []
    for number in range(times):
        for name, limit in zip(seconds, (60, 0.5, 60)):
            dispatcher = run.begin(Rules(window=4))
            worker = run.worker("w1", None, arguments=["--model", base_model(), "--drain-timeout", limit])
            dispatcher.until_workers(1)
            if name != "idle":
                id = f"long-{run.seed}-{number}"
                dispatcher.submit(id, 900)
                dispatcher.run(lambda: dispatcher.jobs[id].ids, PATIENCE)
            begin = time.monotonic()
            worker.signal(signal.SIGTERM)
            if name == "a second signal":
                dispatcher.run(lambda: dispatcher.peers["w1"].heartbeat.get("state") == "draining", PATIENCE)
                begin = time.monotonic()
                worker.signal(signal.SIGINT)
            dispatcher.run(lambda: not worker.is_running(), PATIENCE)
            seconds[name].append(time.monotonic() - begin)
            codes.append(worker.ended(PATIENCE))
    run.end()
    run.exactly("exits with another status than 0", [code for code in codes if code], [])
    run.at_most("idle, slowest", max(seconds["idle"]), 2.0, " s")
    run.at_most("half a second to drain, slowest", max(seconds["half a second to drain"]), 3.5, " s")
    run.at_most("after a second signal, slowest", max(seconds["a second signal"]), 2.0, " s")


@case("T25", "signs of life")
def signs_of_life(run, jobs=4):
    """Heartbeats inside long prefills, whatever the chunk, and the messages that systemd's watchdog waits for."""
    for chunk in (None, 512):
        arguments = ["--model", base_model(), *(["--chunk", chunk] if chunk else [])]
        dispatcher = run.begin(Rules(window=jobs, quiet=PATIENCE))
        run.worker("w1", None, arguments=arguments)
        dispatcher.until_workers(1)
        times = []
        dispatcher.on_event = lambda event, times=times: \
            times.append(time.monotonic()) if event["type"] == "heartbeat" else None
        for number in range(jobs):
            dispatcher.submit(f"long-{run.seed}-{number}", 1, prompt=LONG_PROMPT)
        begin = time.monotonic()
        run.finish(4 * PATIENCE)
        end = time.monotonic()
        gaps = [after - before for before, after in zip([begin, *times], [*times, end])]
        name = f"chunks of {chunk}" if chunk else "the default chunk"
        run.at_least(f"{name}: seconds of prefill", end - begin, 2.0, is_of_time=True)
        run.at_most(f"{name}: longest time without a heartbeat", max(gaps), 2.0, " s")
    run.end()
    run.begin()
    path = run.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.settimeout(PATIENCE)
        worker = Worker("w1", run.events, run.part, engine=None)
        worker.env = {**os.environ, "NOTIFY_SOCKET": str(path)}
        run.supervisor.add(worker)
        while listener.recv(1024) != b"READY=1":
            pass
        begin, told = time.monotonic(), 0
        while told < 3:
            told += listener.recv(1024) == b"WATCHDOG=1"
        run.at_most("three signs for the watchdog", time.monotonic() - begin, 15.0, " s")
    run.end()
