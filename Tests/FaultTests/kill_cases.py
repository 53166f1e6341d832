"""Processes that die or freeze: T1, T2, T4, T16, T17, T23."""
# SPDX-License-Identifier: Apache-2.0

import signal
import time

from PythonSupport.programs import PATIENCE

from .cases import case, percentile
from .dispatcher import Rules

POINTS = ("load", "received", "before-accepted", "after-accepted", "before-started", "after-started",
          "prefill", "before-token", "after-token", "before-end", "after-end", "in-flush", "drain",
          "ack-wait")


@case("T1", "kill storm", smoke=dict(jobs=500, kills=10, pause=1.0, least_share=None))
def kill_storm(run, jobs=10_000, kills=100, pause=2.0, least_share=0.7):
    tokens, workers = 16, 4
    rate = None
    if least_share:
        run.begin(Rules(window=2))
        run.workers(workers)
        rate = _rate(run, max(500, jobs // 8), tokens)
        run.check(prefix="without kills: ")
    # Deaths are this test's doing, not the jobs'.
    dispatcher = run.begin(Rules(window=2, poison=1_000))
    run.workers(workers)
    names = list(run.supervisor.workers)
    state = {"kills": 0, "due": time.monotonic() + pause}

    def storm():
        now = time.monotonic()
        if now >= state["due"]:
            state["due"] = now + pause
            state["kills"] += run.kill(run.random.choice(names))

    # With a slower machine than the plan's, the jobs go on until there were enough kills.
    begin, count = time.monotonic(), 0
    for count in range(jobs):
        dispatcher.submit(f"storm-{run.seed}-{count}", tokens)
    in_time = run.finish(120 + jobs * tokens * 0.005 / workers * 3, storm)
    seconds = time.monotonic() - begin
    while state["kills"] < kills and in_time and count < 3 * jobs:
        count += 1
        dispatcher.submit(f"storm-{run.seed}-{count}", tokens)
        in_time = run.finish(60, storm)
    found = run.check()
    run.at_least("kills", found.kills, kills)
    moves = 2 * found.kills
    run.at_most("executions", sum(found.executions.values()), found.submitted + moves)
    run.exactly("token ids that a later attempt repeated", found.recomputed_ids, 0)
    if rate:
        run.at_least("throughput against the run without kills", jobs / seconds / rate, least_share,
                     is_of_time=True)
    run.at_most("redelivery p50", percentile(found.redeliveries, 50), 1.5, " s")
    run.at_most("redelivery p99", percentile(found.redeliveries, 99), 11, " s")


def _rate(run, jobs, tokens):
    begin = time.monotonic()
    for number in range(jobs):
        run.dispatcher.submit(f"calm-{run.seed}-{number}", tokens)
    run.finish(60 + jobs * tokens * 0.005)
    return jobs / (time.monotonic() - begin)


@case("T2", "kill at every point", smoke=dict(times=1))
def kill_at_every_point(run, times=50):
    """All points at once, each on a worker of its own, so that 700 deaths take minutes and not hours."""
    parts, deaths = [], []
    for round in range(times):
        dispatcher = run.begin(Rules(poison=1_000))
        for point in POINTS:
            extra = ["--crash-at", f"{point}:{1 + run.random.randrange(3)}"
                     if point not in ("drain", "ack-wait", "load") else point]
            if point in ("drain", "ack-wait"):
                extra += ["--drain-timeout", "1"]
            run.worker(point, "stub:ms=2,prefill=10,load=30", extra=extra)
        for number in range(3 * len(POINTS)):
            dispatcher.submit(f"point-{run.seed}-{round}-{number}", 12)
        leaving = {"drain", "ack-wait"}

        def every():
            for name in list(leaving):
                peer = dispatcher.peers.get(name)
                if peer and peer.load and dispatcher.jobs[next(iter(peer.load))].ids:
                    run.supervisor.workers[name].signal(signal.SIGTERM)
                    leaving.discard(name)

        run.finish(2 * PATIENCE, every)
        # A worker whose point lies behind the last job is given one more, until each has died once.
        more = 0
        end = time.monotonic() + 2 * PATIENCE
        while (left := set(POINTS) - {n for n, c in run.supervisor.ends if c == -9}):
            if time.monotonic() > end:
                break
            for _ in left:
                dispatcher.submit(f"point-{run.seed}-{round}-more-{more}", 12)
                more += 1
            run.finish(PATIENCE, every)
        died = {name for name, code in run.supervisor.ends if code == -signal.SIGKILL}
        deaths.append(len(died))
        if missing := sorted(set(POINTS) - died):
            print(f"      round {round + 1}: not reached: {missing}")
        parts.append(run.found())
        if not parts[-1].clean:
            print(f"      round {round + 1}: {parts[-1].summary()}")
    run.exactly("deaths, one at each of 14 points", sum(deaths), times * len(POINTS))
    run.check(parts=parts)


@case("T4", "a stopped worker")
def stopped_worker(run, workers=20, times=(3, 8, 30)):
    for seconds in times:
        dispatcher = run.begin()
        run.workers(workers, "stub:ms=20")
        # One worker stays awake and takes what is moved, too slow to be done when the others wake up.
        run.worker("awake", "stub:ms=20")
        dispatcher.until_workers(workers + 1)
        for number in range(workers):
            dispatcher.submit(f"stopped-{run.seed}-{seconds}-{number}", 150)
        dispatcher.run(lambda: sum(bool(job.ids) for job in dispatcher.jobs.values()) >= workers - 1, 20)
        asleep = [w for name, w in run.supervisor.workers.items() if name != "awake"]
        for worker in asleep:
            run.history.write("fault", what="stop", worker=worker.name)
            worker.signal(signal.SIGSTOP)
        running = sum(job.worker != "awake" for job in dispatcher.jobs.values())
        run.run_for(seconds)
        for worker in asleep:
            worker.signal(signal.SIGCONT)
        run.finish(60)
        # What a void attempt still says must come and be ignored.
        run.run_for(6 if seconds > 10 else 1)
        moves, fenced = dispatcher.counts["moves"], dispatcher.counts["fenced"]
        unknown = dispatcher.counts["unknown"]
        found = run.check(prefix=f"{seconds} s: ")
        run.exactly(f"{seconds} s: redeliveries", moves, running if seconds > 10 else 0)
        if seconds > 10:
            run.at_least(f"{seconds} s: old events fenced or of an ended job", fenced + unknown, running)
            extra = sum(found.executions.values()) - workers
            run.at_most(f"{seconds} s: executions beside the first", extra, running)


@case("T16", "poison")
def poison(run, jobs=500, crashing=5, hanging=5, watchdog=30.0, patience=420.0):
    """The watchdog is systemd's part (WatchdogSec=30): here the harness kills who is silent for that long."""
    dispatcher = run.begin(Rules(window=2))
    run.workers(4, "stub:ms=2")
    # At once: whether `started` leaves the process before it dies is chance.
    prompts = (["crash@0"] * crashing + ["hang@5"] * hanging
               + ["Hello"] * (jobs - crashing - hanging))
    run.random.shuffle(prompts)
    poisons = {}
    for number, prompt in enumerate(prompts):
        id = f"poison-{run.seed}-{number}"
        if "@" in prompt:
            poisons[id] = prompt
        dispatcher.submit(id, 16, prompt=prompt)
    waits = []

    def watch():
        now = time.monotonic()
        for name, worker in run.supervisor.workers.items():
            peer = dispatcher.peers[name]
            if worker.is_running() and now - peer.seen > watchdog:
                waits.append(now - peer.seen)
                run.kill(name)
                peer.seen = now  # counted from the restart
    run.finish(patience, watch)
    results = dict(dispatcher.results)
    found = run.check(ends_only=False)
    poisoned = [id for id in poisons if results.get(id, {}).get("code") == "POISON"]
    blamed = [id for id, event in results.items() if event["type"] != "end" and id not in poisons]
    run.exactly("poison jobs that ended as POISON", len(poisoned), len(poisons))
    run.exactly("times a poison job was run", sorted({found.executions[id] for id in poisons}), [2])
    run.exactly("other jobs completed", sum(e["type"] == "end" for e in results.values()),
                jobs - len(poisons))
    run.exactly("other jobs blamed", len(blamed), 0)
    if hanging:
        run.at_most("watchdog", max(waits, default=float("inf")), 35, " s")


@case("T17", "drain", smoke=dict(times=10))
def drain(run, times=200):
    dispatcher = run.begin(Rules(window=3, poison=1_000))
    run.workers(4, "stub:ms=2", arguments=["--drain-timeout", "1"])
    names = list(run.supervisor.workers)
    number, exits, bad = 0, [], []
    byes = 0

    def heard(event):
        nonlocal byes
        byes += event["type"] == "bye"
    dispatcher.on_event = heard
    for time_ in range(times):
        while len(dispatcher.jobs) < 16:
            dispatcher.submit(f"drain-{run.seed}-{number}", run.random.choice((4, 16, 64, 700)))
            number += 1
        run.run_for(run.random.uniform(0, 0.2))
        name = run.random.choice(names)
        worker = run.supervisor.workers[name]
        # One that has no handler yet would end by the signal: that is a death, not a drain.
        if not worker.is_running() or dispatcher.peers[name].heartbeat.get("state") == "draining" \
                or not _is_ready(worker):
            dispatcher.run(lambda: worker.is_running() and _is_ready(worker), PATIENCE,
                           run.supervisor.look)
        process, begin = worker.popen, time.monotonic()
        run.history.write("fault", what="terminate", worker=name)
        worker.signal(signal.SIGTERM)
        if time_ % 10 == 9:
            worker.signal(signal.SIGTERM)
        dispatcher.run(lambda: process.poll() is not None, PATIENCE, lambda: None)
        exits.append(time.monotonic() - begin)
        if process.poll() != 0:
            bad.append(process.poll())
        run.supervisor.look()
    run.finish(120)
    run.check()
    run.exactly("exits with another status than 0", bad, [])
    run.at_most("slowest exit (drain-timeout 1 s + 3 s)", max(exits), 4, " s")
    run.at_most("exit p99", percentile(exits, 99), 3, " s")
    run.at_least("`bye` heard", byes / times, 0.99)


def _is_ready(worker):
    """Whether the newest process of this worker has opened its sockets."""
    log = worker.log
    return log.count("sockets are open") > log.count("leaving")


@case("T23", "restart churn")
def restart_churn(run, cycles=1_000):
    """Half on tcp, half on ipc, ended by SIGKILL and SIGTERM in turn."""
    folder = run.folder
    dispatcher = run.begin(Rules(poison=1_000))
    ipc = {"jobs": f"ipc://{folder}/jobs", "control": f"ipc://{folder}/control"}
    workers = [run.worker("tcp", "stub:ms=1"), run.worker("ipc", "stub:ms=1", **ipc)]
    run.supervisor.workers.clear()
    starts, failed = [], []
    dispatcher.until_workers(2)
    for cycle in range(cycles):
        worker = workers[cycle % 2]
        worker.signal(signal.SIGKILL if cycle // 2 % 2 else signal.SIGTERM)
        if worker.ended(10) is None:
            failed.append(f"cycle {cycle}: still running")
            worker.kill()
        before = dispatcher.peers[worker.name].boot
        begin = time.monotonic()
        worker.start()
        if not dispatcher.run(lambda: dispatcher.peers[worker.name].boot > before, 10):
            failed.append(f"cycle {cycle}: {worker.tail(2)}")
            if not worker.is_running():
                worker.start()
            continue
        starts.append(time.monotonic() - begin)
        if cycle % 50 == 0:
            dispatcher.submit(f"churn-{run.seed}-{cycle}", 4)
            if not dispatcher.finish(20):
                failed.append(f"cycle {cycle}: a job did not end")
    for worker in workers:
        worker.signal(signal.SIGTERM)
        worker.ended(10)
    stale = [path.name for path in (folder / "jobs", folder / "control") if path.exists()]
    for worker in workers:
        run.supervisor.workers[worker.name] = worker
    run.check()
    run.exactly("starts that failed", failed[:3], [])
    run.exactly("stale files", stale, [])
    run.at_most("start to heartbeat p99", percentile(starts, 99), 0.3, " s")
