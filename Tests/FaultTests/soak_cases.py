"""Everything at once, at a tenth of the rate, for a long time: T24."""
# SPDX-License-Identifier: Apache-2.0

import time

from .cases import case
from .dispatcher import Rules
from .connection_cases import behind_proxies


def slope(points):
    """Least squares, in units a second."""
    count = len(points)
    mean_x, mean_y = (sum(p[axis] for p in points) / count for axis in (0, 1))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


@case("T24", "soak")
def soak(run, minutes=30.0, rate=200.0, kill_every=20.0, reset_every=5.0, cancel_every=0.2,
         hole_every=300.0, black_hole=20.0, settle=0.33):
    """Memory is looked at from a third of the time on, in processes that live that long: two are never killed."""
    dispatcher, proxies = behind_proxies(run, 4, "stub:ms=1", Rules(window=4, poison=1_000))
    pipes = [proxy for own in proxies.values() for proxy in own.values()]
    begin = time.monotonic()
    end = begin + minutes * 60
    state = {"number": 0, "kill": begin + kill_every, "reset": begin + reset_every, "sample": begin,
             "cancel": begin + cancel_every, "hole": begin + hole_every, "mend": None, "kills": 0,
             "resets": 0, "holes": 0}
    kept = [run.supervisor.workers[name] for name in ("w3", "w4")]
    memory = {worker.name: [] for worker in kept}
    descriptors = {worker.name: [] for worker in kept}

    def set_hole(is_black_hole):
        for proxy in proxies["w2"].values():
            proxy.set(is_black_hole=is_black_hole)

    def every():
        now = time.monotonic()
        while state["number"] < (now - begin) * rate and len(dispatcher.jobs) < 2_000:
            dispatcher.submit(f"soak-{run.seed}-{state['number']}", 16)
            state["number"] += 1
        if now >= state["kill"]:
            state["kill"] = now + kill_every
            state["kills"] += run.kill(run.random.choice(("w1", "w2")))
        if now >= state["reset"]:
            state["reset"] = now + reset_every
            run.history.write("fault", what="reset")
            run.random.choice(pipes).reset_all()
            state["resets"] += 1
        if now >= state["cancel"]:
            state["cancel"] = now + cancel_every
            # One that a worker has: the client of any other leaves without a message.
            if held := [id for peer in dispatcher.peers.values() for id in peer.load]:
                dispatcher.cancel(run.random.choice(held))
        if now >= state["hole"] and state["mend"] is None:
            state["mend"] = now + black_hole
            state["holes"] += 1
            run.history.write("fault", what="black hole", worker="w2")
            set_hole(True)
        elif state["mend"] is not None and now >= state["mend"]:
            state["mend"], state["hole"] = None, now + hole_every
            set_hole(False)
        if now >= state["sample"]:
            state["sample"] = now + 1
            if now - begin > settle * minutes * 60:
                for worker in kept:
                    memory[worker.name].append((now, worker.memory()))
                    descriptors[worker.name].append(worker.descriptors())
        # Results are in the history; here they would look like a leak of the harness.
        dispatcher.results.clear()

    try:
        run.run_for(end - time.monotonic(), every)
        set_hole(False)
        run.finish(120)
    finally:
        for proxy in pipes:
            proxy.close()
    found = run.check(ends_only=False)
    cancelled = found.codes["CANCELLED"]
    run.exactly("streams equal to the oracle's", found.right_streams, found.submitted - cancelled)
    run.at_least("cancelled", cancelled, round(0.5 * minutes * 60 / cancel_every))
    run.at_least("kills", state["kills"], round(0.8 * minutes * 60 / kill_every))
    run.at_least("resets", state["resets"], round(0.8 * minutes * 60 / reset_every))
    run.measured["T24"] = {"black_holes": state["holes"], "samples": {n: len(p) for n, p in memory.items()}}
    steepest = max(slope(points) * 3600 / 2**20 for points in memory.values())
    run.at_most("memory slope", steepest, 1.0, " MiB/h")
    # A connection that is being made again is one more or less.
    run.at_most("descriptors, most beside fewest",
                max(max(values) - min(values) for values in descriptors.values()), 6)
    run.at_least("jobs", found.submitted, round(0.8 * rate * minutes * 60))
