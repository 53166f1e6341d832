"""What is sent to a worker: broken, oversized, repeated, too much: T9, T10, T14, T19."""
# SPDX-License-Identifier: Apache-2.0

import json
import socket
import struct
import time

import zmq

from PythonSupport.programs import PATIENCE

from .cases import case, percentile
from .dispatcher import Rules

DEEP = b"[" * 200 + b"]" * 200
# ZMTP 3.0 without security, and a PUSH socket's introduction.
GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL" + bytes(16) + b"\x00" + bytes(31)
READY = b"\x04\x1a\x05READY\x0bSocket-Type\x00\x00\x00\x04PUSH"
WELL_FORMED = {"v": 1, "type": "job", "job_id": "fuzz", "attempt": 1, "prompt": "Hello", "max_tokens": 4}


def pipe_to(run, address, *, hwm=1000):
    """A sender of its own, so that what it does to its connection hurts nobody else."""
    pipe = run.dispatcher.context.socket(zmq.PUSH)
    pipe.linger = 0
    pipe.sndhwm = hwm
    pipe.reconnect_ivl = 20
    pipe.connect(address)
    return pipe


def valid_job(run, name, patience=PATIENCE):
    """Seconds from sending a job of two tokens to its first answer."""
    dispatcher = run.dispatcher
    state = {}

    def heard(event):
        if event.get("job_id") == name:
            state.setdefault("answered", time.monotonic())
    dispatcher.on_event = heard
    dispatcher.submit(name, 2)
    begin = time.monotonic()
    dispatcher.run(lambda: name not in dispatcher.jobs, patience, run.supervisor.look)
    dispatcher.on_event = None
    return state.get("answered", float("inf")) - begin


def broken_message(random):
    """One frame that is no valid message; never one that the worker may take."""
    kind = random.randrange(10)
    text = json.dumps(WELL_FORMED).encode()
    if kind == 0:
        flipped = bytearray(text)
        # Not the attempt's digit: of a job that is known by a higher attempt, a lower one has no answer.
        spared = text.index(b'"attempt": ') + len(b'"attempt": ')
        for _ in range(random.randrange(1, 6)):
            place = random.randrange(len(flipped) - 1)
            flipped[place + (place >= spared)] ^= 1 << random.randrange(8)
        return bytes(flipped) if flipped != text else b"{}"
    if kind == 1:
        return random.randbytes(random.randrange(0, 200))
    if kind == 2:
        return b'{"v":1,"type":"job","job_id":"d","attempt":1,"prompt":' + DEEP + b"}"
    if kind == 3:
        return text.replace(b'"max_tokens": 4', b'"max_tokens": 1e999')
    if kind == 4:
        return text.replace(b'"max_tokens": 4', b'"max_tokens": ' + b"9" * random.randrange(20, 400))
    if kind == 5:
        return text.replace(b"Hello", random.choice((b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\x80", b"\\ud800")))
    if kind == 6:
        wrong = random.choice((None, [], {}, True, 1.5, -1, "x" * 5))
        return json.dumps(dict(WELL_FORMED, **{random.choice(("attempt", "max_tokens", "prompt", "v")):
                                               wrong if wrong != "x" * 5 else [wrong]})).encode()
    if kind == 7:
        return text[:random.randrange(len(text))]
    if kind == 8:
        return b""
    return text + text


@case("T9", "malformed messages", smoke=dict(messages=20_000, connections=500))
def malformed(run, messages=1_000_000, connections=10_000):
    run.begin()
    (worker,) = run.workers(1, "stub:ms=1")
    run.run_for(1)
    pid, before = worker.pid, worker.memory()
    pipe = pipe_to(run, worker.jobs)
    sent = multipart = 0
    delays, peak = [], before
    for number in range(messages):
        if number % 500 == 250:
            pipe.send_multipart([b"{", b"}"])
            multipart += 1
            continue
        # As a dispatcher does; else the answer measured below waits for answers that nobody has read.
        if number % 50 == 0:
            run.dispatcher.work(0)
        message = broken_message(run.random)
        for _ in range(1_000):
            try:
                pipe.send(message, zmq.NOBLOCK)
                sent += 1
                break
            except zmq.Again:
                run.dispatcher.work(0.005)
        if number % max(1, messages // 20) == 0:
            delays.append(valid_job(run, f"fuzz-{run.seed}-{number}"))
            peak = max(peak, worker.memory())
    # A job sent by the same pipe comes after all of it.
    ended = json.dumps(dict(WELL_FORMED, job_id="after-the-fuzz", max_tokens=1)).encode()
    heard = []
    run.dispatcher.on_event = lambda event: heard.append(event.get("job_id"))
    pipe.send(ended)
    run.dispatcher.run(lambda: "after-the-fuzz" in heard, 60)
    run.dispatcher.on_event = None

    def counted():
        """Messages that the worker's log counts, and those that were answered by name, which some were jobs for."""
        answers = run.dispatcher.unknown_types
        return (last_total(worker.log, "malformed_total"),
                answers.get("error", 0) + answers.get("accepted", 0))

    # The log tells its totals now and then.
    run.dispatcher.run(
        lambda: sum(counted()) >= sent + 1 and last_total(worker.log, "multipart_total") >= multipart,
        PATIENCE)
    run.run_for(1.5)
    # Random bytes from a connection can be messages of ZMTP 1.0: the count is of what was sent here.
    (refused, named), log = counted(), worker.log
    broken_connections(run, worker, connections)
    delays.append(valid_job(run, f"fuzz-{run.seed}-end"))
    run.run_for(1.5)
    peak = max(peak, worker.memory())
    same = worker.is_running() and worker.pid == pid
    run.check()
    run.figure("crashes and hangs", 0 if same else 1, 0, same and "after-the-fuzz" in heard)
    run.at_most("memory gained", (peak - before) / 2**20, 16.0, " MiB")
    # What could be named after all was answered under its id instead.
    run.figure("messages counted + answered by name", f"{refused} + {named} = {refused + named}",
               sent + 1, refused + named == sent + 1)
    run.exactly("multipart messages thrown away and counted",
                last_total(log, "multipart_total"), multipart)
    run.at_most("a valid job answered meanwhile, p95", percentile(delays, 95) * 1000, 100.0, " ms")


def last_total(log, name):
    totals = [int(word.split("=")[1]) for line in log.splitlines() for word in line.split()
              if word.startswith(name + "=")]
    return totals[-1] if totals else 0


def broken_connections(run, worker, count):
    """Raw TCP that is no ZMTP, or stops being it."""
    port = int(worker.jobs.rsplit(":", 1)[1])
    open_ones = []
    for number in range(count):
        try:
            connection = socket.create_connection(("127.0.0.1", port), timeout=2)
        except OSError:
            continue
        connection.setblocking(False)
        data = run.random.choice((
            b"", b"GET / HTTP/1.1\r\n\r\n", GREETING[:run.random.randrange(64)],
            GREETING + run.random.randbytes(40), b"\xff" * 64, b"\x01\x00", run.random.randbytes(100)))
        try:
            connection.send(data)
        except OSError:
            pass
        open_ones.append(connection)
        if len(open_ones) > 100:
            open_ones.pop(run.random.randrange(len(open_ones))).close()
        if number % 50 == 0:
            run.dispatcher.work(0.001)
    for connection in open_ones:
        connection.close()


@case("T10", "oversized messages")
def oversized(run, flood=1 << 30):
    run.begin()
    (worker,) = run.workers(1, "stub:ms=1")
    run.run_for(1)
    before = worker.memory()
    slowest = 0.0
    for size in ((1 << 20) + 1, 2 << 20, 64 << 20):
        pipe = pipe_to(run, worker.jobs)
        pipe.send(b" " * size)
        begin = time.monotonic()
        heard, due = [], [0.0]
        run.dispatcher.on_event = lambda event, heard=heard: heard.append(event.get("job_id"))

        def again(pipe=pipe, size=size, due=due):
            """What stood behind the message may be lost with the connection: it is sent again."""
            if time.monotonic() >= due[0]:
                due[0] = time.monotonic() + 0.1
                pipe.send(json.dumps(dict(WELL_FORMED, job_id=f"behind-{size}")).encode())
        run.dispatcher.run(lambda size=size, heard=heard: f"behind-{size}" in heard, 5, again)
        slowest = max(slowest, time.monotonic() - begin)
        run.dispatcher.on_event = None
        pipe.close()
        valid_job(run, f"beside-{run.seed}-{size}")
    # A frame that says it has 2^63 bytes.
    port = int(worker.jobs.rsplit(":", 1)[1])
    for length in (1 << 32, (1 << 63) - 1):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
            raw.sendall(GREETING + READY)
            time.sleep(0.2)
            raw.sendall(b"\x02" + struct.pack(">Q", length) + b"x" * 100)
            raw.settimeout(5)
            try:
                while raw.recv(4096):
                    pass
                closed = True
            except TimeoutError:
                closed = False
            except OSError:
                closed = True
        run.figure(f"frame of {length} bytes: connection closed", closed, True, closed)
    run.at_most("memory gained", (worker.memory() - before) / 2**20, 16.0, " MiB")
    run.at_most("reconnected and answered", slowest, 1.0, " s")
    delay = valid_job(run, f"beside-{run.seed}-end")
    run.at_most("another sender's job answered", delay * 1000, 100.0, " ms")
    peak = endless_frames(run, worker, flood)
    run.figure("flood of MORE frames", f"{peak / 2**20:.0f} MiB at its highest",
               "ends by the limit on memory, then recovery", not worker.is_running())
    run.dispatcher.run(lambda: worker.is_running(), 10, run.supervisor.look)
    delay = valid_job(run, f"beside-{run.seed}-again")
    run.at_most("job answered after recovery", delay, 12.0, " s")
    run.check()


def endless_frames(run, worker, flood):
    """No option of ZeroMQ bounds one message of many frames: the harness plays MemoryMax at 256 MiB.

    Over a bare connection: a socket of ZeroMQ keeps a message back until its last frame is there.
    """
    frame = b"\x03" + struct.pack(">Q", 1 << 19) + b"x" * (1 << 19)
    peak = sent = 0
    port = int(worker.jobs.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
        raw.sendall(GREETING + READY)
        try:
            while sent < flood and worker.is_running():
                raw.sendall(frame)
                sent += len(frame)
                peak = max(peak, worker.memory())
                if peak > 256 << 20:
                    run.kill(worker.name)
        except OSError as problem:
            run.measured["flood"] = str(problem)
    return peak


@case("T14", "overload")
def overload(run, jobs=20_000):
    dispatcher = run.begin()
    (worker,) = run.workers(1, "stub:ms=20")
    run.run_for(1)
    before = worker.memory()
    pipe = pipe_to(run, worker.jobs, hwm=0)
    answered, queued, peak = {}, [0], [before]

    def heard(event):
        id = event.get("job_id", "")
        if id.startswith("over-") and id not in answered:
            answered[id] = event["type"] if event["type"] == "accepted" else event.get("code")
        if event["type"] == "heartbeat":
            queued.append(event["queued"])
            peak.append(worker.memory())
    dispatcher.on_event = heard
    begin = time.monotonic()
    for number in range(jobs):
        pipe.send(json.dumps(dict(WELL_FORMED, job_id=f"over-{number}", max_tokens=200)).encode())
    dispatcher.run(lambda: len(answered) >= jobs, 60)
    seconds = time.monotonic() - begin
    run.run_for(1.5)
    accepted = sum(kind == "accepted" for kind in answered.values())
    full = sum(kind == "QUEUE_FULL" for kind in answered.values())
    run.exactly("accepted + QUEUE_FULL", accepted + full, jobs)
    run.at_most("longest queue", max(queued), 10_000)
    run.at_most("all answered", seconds, 3.0, " s")
    run.at_most("memory gained", (max(peak) - before) / 2**20, 80.0, " MiB")
    # Ten thousand jobs wait in this worker: it is not needed any more.
    dispatcher.on_event = None
    run.check()


@case("T19", "duplicates", smoke=dict())
def duplicates(run, jobs=200, copies=5):
    dispatcher = run.begin(Rules(window=3))
    (worker,) = run.workers(1, "stub:ms=1")
    (second,) = [pipe_to(run, worker.jobs)]
    plan = []
    for number in range(jobs):
        dispatcher.submit(f"twice-{run.seed}-{number}", 8)
    conflicts = []
    dispatcher.on_event = lambda event: conflicts.append(event["job_id"]) \
        if event.get("code") == "JOB_ID_CONFLICT" else None
    begin = time.monotonic()

    def copy():
        """Copies at random moments, also after the end and its acknowledgement."""
        now = time.monotonic()
        for job in list(dispatcher.jobs.values()):
            if job.attempt and not hasattr(job, "planned"):
                job.planned = True
                plan.extend((now + run.random.uniform(0, 1.5), dict(job.body, attempt=job.attempt))
                            for _ in range(copies - 1))
        for entry in [entry for entry in plan if entry[0] <= now]:
            plan.remove(entry)
            second.send(json.dumps(entry[1]).encode())

    run.finish(2 * PATIENCE, copy)
    dispatcher.run(lambda: not plan, PATIENCE, copy)
    second.send(json.dumps(dict(WELL_FORMED, job_id=f"other-{run.seed}", max_tokens=300)).encode())
    second.send(json.dumps(dict(WELL_FORMED, job_id=f"other-{run.seed}", max_tokens=301)).encode())
    dispatcher.run(lambda: conflicts, PATIENCE)
    run.run_for(1)
    run.measured["seconds"] = time.monotonic() - begin
    found = run.check()
    again = {id: count for id, count in found.executions.items() if count > 1}
    run.exactly("jobs executed more than once", len(again), 0)
    run.exactly("conflicts of content detected", conflicts, [f"other-{run.seed}"])
