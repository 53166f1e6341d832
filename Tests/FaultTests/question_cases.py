"""How soon a shim answers questions about itself while a real model computes behind it: T11.3.

That the answers need neither the queue's thread nor a worker holds on any machine and is tested in
Tests/LlorchHTTPTests/WorkersTests.swift.
"""
# SPDX-License-Identifier: Apache-2.0

import asyncio
import time

from .cases import case, percentile
from .http_cases import Client, begin_shim, until_healthy
from .models import LONG_PROMPT, base_model
from .processes import Worker

PATHS = ("/health", "/metrics", "/livez", "/openapi.json")


class Questions:
    """One connection that is kept, as a poller keeps it."""

    async def open(self, port):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        return self

    async def ask(self, path):
        """The seconds until the whole answer is there, and its status."""
        begin = time.monotonic()
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        status = int((await self.reader.readline()).split()[1])
        length = 0
        while line := (await self.reader.readline()).strip().lower():
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        await self.reader.readexactly(length)
        return time.monotonic() - begin, status


@case("T11.3", "questions while a model computes")
def questions(run, each=1_000):
    """In the prefill of a long prompt, and while tokens come."""
    shim = begin_shim(run, 0, None)
    run.supervisor.add(Worker("w1", shim.events, run.part, engine=None, arguments=["--model", base_model()]))

    async def beside(id, prompt, times, statuses):
        """Asks as long as one job after another runs."""
        asked = await Questions().open(shim.port)
        number = 0
        while min(map(len, times.values())) < each:
            job = asyncio.create_task(Client(shim.port, f"{id}-{run.seed}-{number}", 16, prompt).whole())
            number += 1
            while not job.done():
                for path in PATHS:
                    seconds, status = await asked.ask(path)
                    times[path].append(seconds)
                    statuses.add(status)
                await asyncio.sleep(0.001)
            assert job.result().end, "the job did not end"
        asked.writer.close()

    async def all_of_it():
        await until_healthy(shim.port, 1)
        reached, statuses = {}, set()
        for id, prompt in (("prefill", LONG_PROMPT), ("decode", "Hello")):
            reached[id] = {path: [] for path in PATHS}
            await asyncio.wait_for(beside(id, prompt, reached[id], statuses), 600)
        return reached, statuses

    reached, statuses = asyncio.run(all_of_it())
    run.end()
    run.measured["T11.3"] = {
        f"{stage} {path}": {f"p{p}": round(percentile(times, p) * 1000, 2) for p in (50, 99)}
        for stage, paths in reached.items() for path, times in paths.items()}
    run.exactly("statuses", statuses, {200})
    for path in PATHS:
        times = reached["prefill"][path] + reached["decode"][path]
        run.at_most(f"{path}, p99", percentile(times, 99) * 1000, 10.0, " ms")
