"""The shim with many clients and with clients that leave: T11, T12. Plain asyncio sockets, no HTTP library."""
# SPDX-License-Identifier: Apache-2.0

import asyncio
import json
import os
import signal
import socket
import struct
import time

from cases import case, percentile
from oracle import stream
from processes import BINARIES, Process, Worker, free_ports


class Shim(Process):
    def __init__(self, folder):
        self.port, events = free_ports(2)
        self.events = f"tcp://127.0.0.1:{events}"
        super().__init__(
            [BINARIES / "llorch-http-shim", "--port", self.port, "--events", f"bind:{self.events}",
             "--backlog", 2_000], folder / "shim.log")


def begin_shim(run, workers, engine):
    if not os.access(BINARIES / "llorch-http-shim", os.X_OK):
        raise RuntimeError(f"{BINARIES}/llorch-http-shim is not there: "
                           "swift build -c release --product llorch-http-shim")
    run.begin()
    run.dispatcher.close()
    run.dispatcher = None
    shim = Shim(run.part)
    shim.name = "shim"
    run.supervisor.add(shim)
    for number in range(workers):
        run.supervisor.add(Worker(f"w{number + 1}", shim.events, run.part, engine=engine))
    return shim


class Client:
    """One POST /execute, read event by event."""

    def __init__(self, port, id, tokens, prompt="Hello"):
        self.port, self.id, self.tokens, self.prompt = port, id, tokens, prompt
        self.status = None
        self.ids_seen = 0
        self.text = ""
        self.end = None
        self.header_after = float("inf")

    async def open(self):
        begin = time.monotonic()
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        body = json.dumps({"job_id": self.id, "prompt": self.prompt, "max_tokens": self.tokens,
                           "seed": 1}).encode()
        self.writer.write(
            b"POST /execute HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        line = await self.reader.readline()
        self.status = int(line.split()[1]) if line else 0
        while (await self.reader.readline()).strip():
            pass
        self.header_after = time.monotonic() - begin

    async def events(self):
        """Chunked framing is left in: a data line is never cut by it, the shim writes whole events."""
        while line := await self.reader.readline():
            if line.startswith(b"data: "):
                yield json.loads(line[6:])

    async def whole(self):
        await self.open()
        if self.status == 200:
            async for event in self.events():
                if event["type"] == "token":
                    self.text += event["t"]
                elif event["type"] in ("end", "error"):
                    self.end = event
                    break
        self.close()
        return self

    def close(self, abruptly=False):
        raw = self.writer.get_extra_info("socket")
        if abruptly and raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.close()

    @property
    def is_right(self):
        return (self.end is not None and self.end["type"] == "end"
                and self.text == stream(self.id, self.tokens)[1])


async def health(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return json.loads(answer.split(b"\r\n\r\n", 1)[1])


async def until_healthy(port, count, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if sum(worker["healthy"] for worker in (await health(port))["workers"]) >= count:
                return
        except (OSError, ValueError, IndexError):
            pass
        await asyncio.sleep(0.05)
    raise RuntimeError(f"{count} workers were not healthy in {seconds} s")


@case("T11", "many streams at once")
def many_streams(run, clients=1_000):
    shim = begin_shim(run, 4, "stub:ms=1")

    async def all_of_them():
        await until_healthy(shim.port, 4)
        await Client(shim.port, "warm", 4).whole()
        await asyncio.sleep(1)
        fds = shim.descriptors()
        made = [Client(shim.port, f"sse-{run.seed}-{n}", 16) for n in range(clients)]
        peak = [0]

        async def watch():
            while True:
                peak[0] = max(peak[0], shim.memory())
                await asyncio.sleep(0.1)
        watcher = asyncio.create_task(watch())
        await asyncio.wait_for(
            asyncio.gather(*(client.whole() for client in made), return_exceptions=True), 240)
        watcher.cancel()
        await asyncio.sleep(2)
        return made, peak[0], fds, shim.descriptors()

    made, peak, before, after = asyncio.run(all_of_them())
    run.end()
    run.exactly("status 200", sum(client.status == 200 for client in made), clients)
    run.exactly("right streams", sum(client.is_right for client in made), clients)
    # The status is known when the job starts, and the last one starts when the others are done.
    work = clients * 16 * 0.001 / 4
    run.at_most("header p99 (500 ms beyond the work before it)",
                percentile([c.header_after for c in made], 99), 0.5 + work, " s")
    run.at_most("memory of the shim", peak / 2**20, 200.0, " MiB")
    run.at_most("descriptors afterwards", after, before)


@case("T12", "clients that leave")
def leaving_clients(run, clients=1_000, rounds=3):
    shim = begin_shim(run, 4, "stub:ms=5,prefill=50")

    async def one(client, patience, abruptly):
        try:
            await asyncio.wait_for(client.whole(), patience)
        except (TimeoutError, OSError):
            pass
        if hasattr(client, "writer"):
            client.close(abruptly)

    async def busy():
        return [w for w in (await health(shim.port))["workers"] if w["state"] != "idle"]

    async def storm(round):
        tasks = []
        for number in range(clients):
            client = Client(shim.port, f"leave-{run.seed}-{round}-{number}", 2_000)
            tasks.append(asyncio.create_task(
                one(client, run.random.uniform(0.001, 1.0), number % 2 == 0)))
            if number % 20 == 19:
                await asyncio.sleep(0.01)
        await asyncio.gather(*tasks)
        left = time.monotonic()
        while await busy() and time.monotonic() - left < 30:
            await asyncio.sleep(0.01)
        return time.monotonic() - left

    async def all_of_it():
        await until_healthy(shim.port, 4)

        async def first_token(name):
            begin = time.monotonic()
            client = Client(shim.port, name, 4)
            await client.whole()
            return time.monotonic() - begin
        before = [await first_token(f"calm-{n}") for n in range(10)]
        stops = [await storm(round) for round in range(rounds)]
        after = [await first_token(f"after-{n}") for n in range(10)]
        return before, stops, after

    before, stops, after = asyncio.run(all_of_it())
    workers = [w for name, w in run.supervisor.workers.items() if name != "shim"]
    open_jobs = sum(w.log.count("job begins") - w.log.count("job ended") for w in workers)
    alive = shim.is_running()
    run.end()
    run.at_most("all engines idle after the last client left", max(stops), 1.25, " s")
    run.exactly("jobs that run for nobody", open_jobs, 0)
    run.figure("the shim lives", alive, True, alive)
    run.at_most("next job against the job before", percentile(after, 50) / percentile(before, 50),
                1.1)


@case("T3.2", "retrying HTTP clients of a shim that is killed")
def killed_shim(run, clients=32, jobs=2_000, every=3.0):
    shim = begin_shim(run, 4, "stub:ms=5")
    right, retries, kills = [0], [0], [0]

    async def client(queue):
        while queue:
            id = queue.pop()
            for _ in range(100):
                attempt = Client(shim.port, id, 16)
                try:
                    await asyncio.wait_for(attempt.whole(), 30)
                except (OSError, TimeoutError, ValueError, IndexError):
                    pass
                if attempt.is_right:
                    right[0] += 1
                    break
                retries[0] += 1
                await asyncio.sleep(0.1)

    async def killer():
        while True:
            await asyncio.sleep(every)
            shim.signal(signal.SIGKILL)
            shim.popen.wait()
            shim.start()
            kills[0] += 1

    async def all_of_it():
        await until_healthy(shim.port, 4)
        queue = [f"http-{run.seed}-{n}" for n in range(jobs)]
        killing = asyncio.create_task(killer())
        await asyncio.wait_for(asyncio.gather(*(client(queue) for _ in range(clients))), 400)
        killing.cancel()

    asyncio.run(all_of_it())
    run.end()
    run.measured["T3.2"] = {"kills": kills[0], "retries": retries[0]}
    run.at_least("kills", kills[0], 3)
    run.exactly("right streams", right[0], jobs)
