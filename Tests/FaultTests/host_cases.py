"""A shim and its workers on different hosts, which network namespaces stand for, with keys: T7.2."""
# SPDX-License-Identifier: Apache-2.0

import asyncio
import collections
import re
import shutil
import time

from PythonSupport.ports import free_ports

from .cases import case
from .http_cases import Client, ask, begin_shim, until_healthy
from .namespaces import Cable
from .processes import Worker
from .security_cases import Pair


def keys_of(folder):
    """Options of the shim and of its workers: each side lets in the other, and nobody else."""
    shim, worker = Pair(folder, "shim-pair"), Pair(folder, "worker-pair")
    allowed = {}
    for side, other in (("shim", worker), ("worker", shim)):
        allowed[side] = folder / f"allowed-by-{side}"
        allowed[side].mkdir()
        shutil.copy(other.public_file, allowed[side])
    return tuple(["--curve-secret-key", pair.secret_file, "--curve-allowed-keys", allowed[side]]
                 for side, pair in (("shim", shim), ("worker", worker)))


async def redeliveries(port):
    """How many, by reason, the shim has counted."""
    page = (await ask(port, "/metrics")).decode()
    return collections.Counter({
        reason: int(float(value)) for reason, value in
        re.findall(r'^llorch_redeliveries_total{reason="(\w+)"} (\S+)$', page, re.MULTILINE)})


@case("T7.2", "a cut network below HTTP streams")
def cut_below_streams(run, clients=12, short=5, long=1, half_open=1, lengths=(3.0, 40.0, 5.0)):
    """One worker beyond the cable, one beside the shim. A stream may pause, and loses and repeats nothing."""
    cable = Cable()
    try:
        for_shim, for_worker = keys_of(run.folder)
        (events,) = free_ports(1)
        shim = begin_shim(run, 0, "", events=f"tcp://*:{events}", arguments=for_shim)
        jobs, control = (f"tcp://{cable.far}:{port}" for port in free_ports(2))
        far = Worker("far", f"tcp://{cable.near}:{events}", run.part, engine="stub:ms=10",
                     jobs=jobs, control=control, arguments=for_worker)
        far.command = cable.prefix + far.command
        run.supervisor.add(far)
        run.supervisor.add(Worker("near", f"tcp://127.0.0.1:{events}", run.part,
                                  engine="stub:ms=10", arguments=for_worker))
        ended, moved, healed, used_again = [], [], [], []
        is_over = False

        async def read_streams(number):
            turn = 0
            while not is_over:
                client = Client(shim.port, f"host-{run.seed}-{number}-{turn}", 32)
                ended.append(client)
                await asyncio.wait_for(client.whole(), 120)
                turn += 1

        async def all_of_it():
            nonlocal is_over
            await until_healthy(shim.port, 2)
            readers = [asyncio.create_task(read_streams(number)) for number in range(clients)]
            plan = [("cut", lengths[0])] * short + [("cut", lengths[1])] * long \
                + [("half", lengths[2])] * half_open
            for kind, seconds in plan:
                await asyncio.sleep(2)
                before = await redeliveries(shim.port)
                run.history.write("fault", what=kind, seconds=seconds)
                (cable.pull if kind == "cut" else cable.deafen)()
                await asyncio.sleep(seconds)
                (cable.plug if kind == "cut" else cable.mend)()
                begun, begin = far.log.count("job begins"), time.monotonic()
                await until_healthy(shim.port, 2, 60)
                while far.log.count("job begins") == begun and time.monotonic() - begin < 60:
                    await asyncio.sleep(0.05)
                used_again.append(far.log.count("job begins") > begun)
                healed.append(time.monotonic() - begin)
                moved.append((seconds, await redeliveries(shim.port) - before))
            is_over = True
            await asyncio.gather(*readers, return_exceptions=True)

        asyncio.run(all_of_it())
        run.end()
        run.measured["T7.2"] = {"streams": len(ended), "used again after": healed, "moved": moved}
        run.at_least("streams", len(ended), 100)
        run.exactly("right streams", sum(client.is_right for client in ended), len(ended))
        run.exactly("jobs moved in cuts of less than 10 s",
                    sum(count["worker_silent"] for seconds, count in moved if seconds < 10), 0)
        run.exactly("jobs moved in the cut of 40 s, of the one that was out there",
                    sum(count["worker_silent"] for seconds, count in moved if seconds > 10), long)
        run.exactly("cuts after which the far worker is used again", sum(used_again), len(moved))
        run.at_most("used again after", max(healed), 60, " s")
    finally:
        cable.remove()
