"""The shim with many clients and with clients that leave: T11, T12. Plain asyncio sockets, no HTTP library."""
# SPDX-License-Identifier: Apache-2.0

import asyncio
import collections
import json
import os
import re
import signal
import socket
import struct
import time

from PythonSupport.ports import free_ports
from PythonSupport.programs import Process, binaries

from .cases import case, percentile
from .checker import executions
from .oracle import stream
from .processes import Worker
from .proxy import ChaosProxy


class Shim(Process):
    def __init__(self, folder, backlog=2_000, events=None, arguments=()):
        self.port, port = free_ports(2)
        self.events = events or f"tcp://127.0.0.1:{port}"
        super().__init__(
            [binaries() / "llorch-http-shim", "--port", self.port, "--events", f"bind:{self.events}",
             "--backlog", backlog, *arguments], folder / "shim.log")


def begin_shim(run, workers, engine, *, backlog=2_000, tap=None, events=None, arguments=()):
    """A shim and its workers; where there is a tap, their events come by it."""
    if not os.access(binaries() / "llorch-http-shim", os.X_OK):
        raise RuntimeError(f"{binaries()}/llorch-http-shim is not there: "
                           "swift build -c release --product llorch-http-shim")
    run.begin()
    run.dispatcher.close()
    run.dispatcher = None
    shim = Shim(run.part, backlog, events, arguments)
    shim.name = "shim"
    run.supervisor.add(shim)
    events = shim.events
    if tap:
        proxy = ChaosProxy(("127.0.0.1", int(events.rsplit(":", 1)[1])), on_data=tap)
        events = proxy.address
    for number in range(workers):
        run.supervisor.add(Worker(f"w{number + 1}", events, run.part, engine=engine))
    return shim


class Overheard:
    """When each job was begun and ended, as its worker tells the shim."""

    _PATTERN = re.compile(rb'"type":"(started|end|error)"[^{}]*?"job_id":"([^"]+)"')

    def __init__(self):
        self.begun, self.ended = {}, {}
        self._rest = {}

    def __call__(self, side, data):
        now = time.monotonic()
        data = self._rest.get(side, b"") + data
        end = 0
        for match in self._PATTERN.finditer(data):
            (self.begun if match[1] == b"started" else self.ended).setdefault(match[2].decode(), now)
            end = match.end()
        # What may be the beginning of an event whose rest is still to come.
        self._rest[side] = data[max(end, len(data) - 512):]

    @property
    def running(self):
        return set(self.begun) - set(self.ended)


class Client:
    """One POST /execute, read event by event."""

    path = b"/execute"
    refusals = (503,)

    def members(self):
        return {"job_id": self.id}

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
        body = json.dumps({"prompt": self.prompt, "max_tokens": self.tokens, "seed": 1} | self.members()).encode()
        self.writer.write(
            b"POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n" % (self.path, len(body)) + body)
        line = await self.reader.readline()
        self.status = int(line.split()[1]) if line else 0
        while (await self.reader.readline()).strip():
            pass
        self.header_after = time.monotonic() - begin

    async def events(self):
        """Chunked framing is left in: a data line is never cut by it, the shim writes whole events."""
        while line := await self.reader.readline():
            if line.startswith(b"data: "):
                yield self.event(line[6:])

    def event(self, data):
        return json.loads(data)

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


class CompletionClient(Client):
    """One POST /v1/completions, in the events of the other; the job's id comes with the first chunk."""

    path = b"/v1/completions"
    refusals = (429, 503)

    def members(self):
        return {"model": "stub", "stream": True}

    def event(self, data):
        if data.startswith(b"[DONE]"):
            return {"type": "end"}
        chunk = json.loads(data)
        if "error" in chunk:
            return {"type": "error"} | chunk["error"]
        self.id = chunk["id"]
        return {"type": "token", "t": chunk["choices"][0]["text"]}


async def ask(port, path):
    """The body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n" % path.encode())
    answer = await reader.read()
    writer.close()
    return answer.split(b"\r\n\r\n", 1)[1]


async def health(port):
    return json.loads(await ask(port, "/health"))


async def until_healthy(port, count, seconds=60):
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
def many_streams(run, clients=1_000, client=Client):
    shim = begin_shim(run, 4, "stub:ms=1")

    async def all_of_them():
        await until_healthy(shim.port, 4)
        await client(shim.port, "warm", 4).whole()
        await asyncio.sleep(1)
        fds = shim.descriptors()
        made = [client(shim.port, f"sse-{run.seed}-{n}", 16) for n in range(clients)]
        peak = [0]

        async def watch():
            while True:
                peak[0] = max(peak[0], shim.memory())
                await asyncio.sleep(0.1)
        watcher = asyncio.create_task(watch())
        await asyncio.wait_for(
            asyncio.gather(*(one.whole() for one in made), return_exceptions=True), 240)
        watcher.cancel()
        await asyncio.sleep(2)
        return made, peak[0], fds, shim.descriptors()

    made, peak, before, after = asyncio.run(all_of_them())
    run.end()
    run.exactly("status 200", sum(one.status == 200 for one in made), clients)
    run.exactly("right streams", sum(one.is_right for one in made), clients)
    run.at_most("header p99", percentile([c.header_after for c in made], 99), 0.5, " s")
    run.at_most("memory of the shim", peak / 2**20, 200.0, " MiB")
    run.at_most("descriptors afterwards", after, before)


@case("T12", "clients that leave")
def leaving_clients(run, clients=1_000, rounds=3, kind=Client):
    overheard = Overheard()
    shim = begin_shim(run, 4, "stub:ms=5,prefill=50", tap=overheard)
    left, zombies = {}, []

    async def one(client, patience, abruptly):
        try:
            await asyncio.wait_for(client.whole(), patience)
        except (TimeoutError, OSError):
            pass
        if hasattr(client, "writer"):
            client.close(abruptly)
        left[client.id] = time.monotonic()

    async def storm(round):
        tasks = []
        for number in range(clients):
            client = kind(shim.port, f"leave-{run.seed}-{round}-{number}", 2_000)
            tasks.append(asyncio.create_task(
                one(client, run.random.uniform(0.001, 1.0), number % 2 == 0)))
            if number % 20 == 19:
                await asyncio.sleep(0.01)
        await asyncio.gather(*tasks)
        await asyncio.sleep(1)
        zombies.extend(overheard.running)

    async def all_of_it():
        await until_healthy(shim.port, 4)

        async def first_token(name):
            begin = time.monotonic()
            client = kind(shim.port, name, 4)
            await client.open()
            async for event in client.events():
                if event["type"] == "token":
                    break
            seconds = time.monotonic() - begin
            client.close()
            await asyncio.sleep(0.1)
            return seconds
        before = [await first_token(f"calm-{n}") for n in range(40)]
        for round in range(rounds):
            await storm(round)
        return before, [await first_token(f"after-{n}") for n in range(40)]

    before, after = asyncio.run(all_of_it())
    alive = shim.is_running()
    run.end()
    # Of those that ran when their client left.
    stops = [overheard.ended[id] - time for id, time in left.items()
             if overheard.ended.get(id, 0) > time and overheard.begun.get(id, time) < time]
    run.measured[run.case.id] = {"ran when their client left": len(stops), "begun": len(overheard.begun)}
    run.at_least("clients that left a running job", len(stops), rounds)
    run.at_most("engine stops after its client left, p99", percentile(stops, 99) * 1000, 250.0, " ms")
    run.exactly("jobs that run for nobody 1 s later", len(zombies), 0)
    run.figure("the shim lives", alive, True, alive)
    run.at_most("time to the next job's first token against before",
                percentile(after, 50) / percentile(before, 50), 1.1, is_of_time=True)


@case("T3.2", "retrying HTTP clients of a shim that is killed")
def killed_shim(run, clients=32, jobs=2_000, every=3.0):
    """A client whose stream breaks asks again under the same id; what the workers made must not be made again."""
    shim = begin_shim(run, 4, "stub:ms=5")
    right, retries, kills, interrupted = [0], [0], [0], [0]
    streaming = set()

    async def client(queue):
        while queue:
            id = queue.pop()
            for _ in range(100):
                attempt = Client(shim.port, id, 16)
                streaming.add(attempt)
                try:
                    await asyncio.wait_for(attempt.whole(), 30)
                except (OSError, TimeoutError, ValueError, IndexError):
                    pass
                streaming.discard(attempt)
                if attempt.is_right:
                    right[0] += 1
                    break
                retries[0] += 1
                await asyncio.sleep(0.1)

    async def killer():
        while True:
            await asyncio.sleep(every)
            interrupted[0] += sum(attempt.status == 200 for attempt in streaming)
            shim.signal(signal.SIGKILL)
            shim.popen.wait()
            shim.start()
            kills[0] += 1

    async def all_of_them():
        await until_healthy(shim.port, 4)
        queue = [f"http-{run.seed}-{n}" for n in range(jobs)]
        killing = asyncio.create_task(killer())
        await asyncio.wait_for(asyncio.gather(*(client(queue) for _ in range(clients))), 400)
        killing.cancel()

    asyncio.run(all_of_them())
    logs = [worker.log_path for name, worker in run.supervisor.workers.items() if name != "shim"]
    run.end()
    again = sum(sum((executions(log) for log in logs), collections.Counter()).values()) - jobs
    run.measured["T3.2"] = {"kills": kills[0], "retries": retries[0], "executed again": again,
                            "interrupted": interrupted[0]}
    run.at_least("kills", kills[0], 3)
    run.exactly("right streams", right[0], jobs)
    run.at_least("interrupted streams finished by replay",
                 1 - again / interrupted[0] if interrupted[0] else 0.0, 0.6)


@case("T14.2", "ten times the rate over HTTP")
def http_overload(run, seconds=60.0, times=10, kind=Client):
    """What is refused is refused at once, and does not slow what is taken."""
    tokens, workers = 16, 4
    shim = begin_shim(run, workers, "stub:ms=20", backlog=16)

    async def saturated():
        """Jobs a second, with as many clients as keep every worker busy."""
        count, end = [0], time.monotonic() + seconds / 3

        async def again(number):
            turn = 0
            while time.monotonic() < end:
                client = await kind(shim.port, f"full-{number}-{turn}", tokens).whole()
                count[0] += client.is_right and time.monotonic() < end
                turn += 1
        await asyncio.gather(*(again(number) for number in range(3 * workers)))
        return count[0] / (seconds / 3)

    async def storm(rate):
        clients, tasks = [], []
        begin = time.monotonic()

        async def one(client):
            try:
                await client.whole()
            except (OSError, ValueError, IndexError):
                pass
            client.done = time.monotonic()
        while (passed := time.monotonic() - begin) < seconds:
            while len(clients) < passed * rate:
                clients.append(kind(shim.port, f"storm-{run.seed}-{len(clients)}", tokens))
                tasks.append(asyncio.create_task(one(clients[-1])))
            await asyncio.sleep(0.002)
        within = sum(client.is_right and client.done - begin <= seconds for client in clients
                     if hasattr(client, "done"))
        await asyncio.wait_for(asyncio.gather(*tasks), 30)
        return clients, within / seconds

    async def all_of_it():
        await until_healthy(shim.port, workers)
        rate = await saturated()
        return rate, *await storm(times * rate)

    rate, clients, goodput = asyncio.run(all_of_it())
    run.end()
    refused = [client for client in clients if client.status in kind.refusals]
    run.measured[run.case.id] = {"saturated jobs/s": rate, "sent": len(clients), "refused": len(refused)}
    run.exactly("right streams + refusals", sum(client.is_right for client in clients) + len(refused),
                len(clients))
    run.at_least("refused", len(refused), len(clients) // 2)
    run.at_most("refusal after, p99", percentile([c.header_after for c in refused], 99) * 1000, 20.0, " ms")
    run.at_least("streams a second against the saturated rate", goodput / rate, 0.95,
                 is_of_time=True)


@case("T11.2", "many streams of /v1/completions at once")
def many_completions(run, clients=1_000):
    many_streams(run, clients, CompletionClient)


@case("T12.2", "clients of /v1/completions that leave")
def leaving_completions(run, clients=1_000, rounds=3):
    leaving_clients(run, clients, rounds, CompletionClient)


@case("T14.3", "ten times the rate over /v1/completions")
def completion_overload(run, seconds=60.0, times=10):
    http_overload(run, seconds, times, CompletionClient)
