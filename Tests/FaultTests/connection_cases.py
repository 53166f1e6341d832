"""Connections that break, hang or lie: T6, T7, T22."""
# SPDX-License-Identifier: Apache-2.0

import time

from PythonSupport.ports import free_ports

from .cases import case, percentile
from .dispatcher import Rules
from .history import read
from .namespaces import Cable
from .processes import Worker
from .proxy import ChaosProxy


def behind_proxies(run, workers, engine, rules=None):
    """A dispatcher and workers of which every connection goes through a proxy of its own."""
    (port,) = free_ports(1)
    proxies, addresses, plan = {}, {}, []
    for number in range(workers):
        name = f"w{number + 1}"
        first, second = free_ports(2)

        def note(name=name):
            if run.history:
                run.history.write("note", what="connected", worker=name)
        own = {"jobs": ChaosProxy(("127.0.0.1", first)), "control": ChaosProxy(("127.0.0.1", second)),
               "events": ChaosProxy(("127.0.0.1", port), note)}
        proxies[name] = own
        addresses[name] = (own["jobs"].address, own["control"].address)
        plan.append((name, own["events"].address, f"tcp://127.0.0.1:{first}",
                     f"tcp://127.0.0.1:{second}"))
    dispatcher = run.begin(rules or Rules(window=2, poison=1_000), addresses=addresses,
                           events=f"tcp://127.0.0.1:{port}")
    for name, events, jobs, control in plan:
        run.worker(name, engine, events=events, jobs=jobs, control=control)
    dispatcher.until_workers(workers)
    return dispatcher, proxies


@case("T6", "connection faults")
def connection_faults(run, jobs=2_000, reset_every=0.5, black_hole=20.0, patience=260.0):
    dispatcher, proxies = behind_proxies(run, 4, "stub:ms=5")
    pipes = [proxy for own in proxies.values() for proxy in own.values()]
    for number in range(jobs):
        dispatcher.submit(f"wire-{run.seed}-{number}", 16)
    state = {"due": time.monotonic() + reset_every, "resets": 0, "hole": None, "cuts": 0}
    half = jobs // 2

    def storm():
        now = time.monotonic()
        if state["hole"] is None and len(dispatcher.jobs) < half:
            state["hole"] = (now + black_hole, proxies["w1"])
            run.history.write("fault", what="black hole", worker="w1")
            for proxy in proxies["w1"].values():
                proxy.set(is_black_hole=True)
        elif state["hole"] and now >= state["hole"][0] and state["hole"][1]:
            for proxy in state["hole"][1].values():
                proxy.set(is_black_hole=False)
            state["hole"] = (float("inf"), None)
        if now >= state["due"]:
            state["due"] = now + reset_every
            proxy = run.random.choice(pipes)
            if run.random.random() < 0.5:
                run.history.write("fault", what="reset")
                proxy.reset_all()
                state["resets"] += 1
            else:
                # Somewhere inside a frame.
                proxy.set(cut_after=run.random.randrange(1, 400))
                run.history.write("fault", what="cut")
                state["cuts"] += 1

    try:
        run.finish(patience, storm)
    finally:
        for proxy in pipes:
            proxy.close()
    counts = dict(dispatcher.counts)
    found = run.check()
    run.at_least("resets and cuts", state["resets"] + state["cuts"], min(50, jobs // 40))
    run.at_least("gaps seen", counts["gaps"], 1)
    again = sum(found.executions.values()) - found.submitted
    # A black hole of 20 s is longer than a lease: what that worker had is moved, once.
    allowed = round(found.submitted * 0.01) + found.voids
    run.at_most("executions beside the first (1 % + moved)", again, allowed)
    run.at_most("events connected again to gap noticed, p99",
                percentile(gap_delays(run.part / "history.jsonl"), 99), 1.0, " s")


def gap_delays(path):
    """Seconds from a worker's new connection to the gap that its first event showed."""
    delays, connected = [], {}
    for line in read(path):
        if line["k"] == "note" and line["what"] == "connected":
            connected[line["worker"]] = line["t"]
        elif line["k"] == "gap" and line["worker"] in connected:
            delays.append(line["t"] - connected.pop(line["worker"]))
    return delays


@case("T22", "a wedged connection")
def wedged(run, jobs=40):
    """Accepted and never read: the worker heartbeats, and nothing sent to it arrives."""
    dispatcher, proxies = behind_proxies(run, 1, "stub:ms=2", Rules(window=2, poison=1_000))
    jobs_proxy = proxies["w1"]["jobs"]
    run.history.write("fault", what="wedge")
    jobs_proxy.set(never_reads=True)
    jobs_proxy.reset_all()
    time.sleep(0.3)
    begin = time.monotonic()
    for number in range(jobs):
        dispatcher.submit(f"wedge-{run.seed}-{number}", 8)
    dispatcher.run(lambda: dispatcher.counts["sockets_recreated"] > 0, 15)
    recreated = time.monotonic() - begin
    jobs_proxy.set(never_reads=False)
    jobs_proxy.reset_all()
    run.finish(30)
    total = time.monotonic() - begin
    for proxy in proxies["w1"].values():
        proxy.close()
    run.check()
    run.at_most("socket recreated", recreated, 12, " s")
    run.at_most("all jobs done", total, 30, " s")


@case("T7", "a cut network")
def cut_network(run, short=10, long=2, half_open=2, lengths=(3.0, 40.0, 5.0)):
    """One worker behind a cable, one beside the dispatcher. Sockets are turned round: the far one connects.

    A worker binds no address that others can reach without access control; connecting it may.
    """
    cable = Cable()
    try:
        events, first, second = free_ports(3)
        where = (f"bind:tcp://{cable.near}:{first}", f"bind:tcp://{cable.near}:{second}")
        dispatcher = run.begin(Rules(window=2, poison=1_000), addresses={"far": where},
                               events=f"tcp://*:{events}")
        far = Worker("far", f"tcp://{cable.near}:{events}", run.part, engine="stub:ms=10",
                     jobs=f"tcp://{cable.near}:{first}", control=f"tcp://{cable.near}:{second}")
        far.command = cable.prefix + far.command + [
            "--jobs", f"connect:tcp://{cable.near}:{first}",
            "--control", f"connect:tcp://{cable.near}:{second}"]
        run.supervisor.add(far)
        run.worker("near", "stub:ms=10", events=f"tcp://127.0.0.1:{events}")
        dispatcher.until_workers(2)
        number = 0
        moved = []
        plan = [("cut", lengths[0])] * short + [("cut", lengths[1])] * long \
            + [("half", lengths[2])] * half_open

        def feed():
            nonlocal number
            while len(dispatcher.jobs) < 12:
                dispatcher.submit(f"cable-{run.seed}-{number}", 32)
                number += 1

        for kind, seconds in plan:
            run.run_for(2, feed)
            before = dispatcher.counts["moves"]
            run.history.write("fault", what=kind, seconds=seconds)
            (cable.pull if kind == "cut" else cable.deafen)()
            run.run_for(seconds, feed)
            (cable.plug if kind == "cut" else cable.mend)()
            begin = time.monotonic()
            dispatcher.run(lambda: dispatcher.peers["far"].seen > begin, 30, feed)
            moved.append((seconds, dispatcher.counts["moves"] - before))
        run.finish(90)
        found = run.check()
        run.exactly("moves in cuts shorter than the lease",
                    sum(count for seconds, count in moved if seconds < 10), 0)
        run.at_most("moves in a cut of 40 s (what it had, once)",
                    max((count for seconds, count in moved if seconds > 10), default=0), 2)
        again = sum(found.executions.values()) - found.submitted
        run.at_most("executions beside the first (1 % + moved)", again,
                    round(found.submitted * 0.01) + found.voids)
    finally:
        run.end()
        cable.remove()
