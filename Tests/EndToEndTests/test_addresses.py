"""Every endpoint either way round, a pipe that workers share, and addresses that are taken or advertised.

On the stub engine, whose answers are known beforehand: what is looked at here is the pipes.
"""
# SPDX-License-Identifier: Apache-2.0

import concurrent.futures
import itertools
import pathlib
import signal
import tempfile
import time

import httpx
import pytest
import zmq

from FaultTests.oracle import stream
from FaultTests.proxy import ChaosProxy
from harness import PATIENCE, TERMINAL, Worker, ids_of, run, text_of
from PythonSupport.ports import free_ports
from shim import Shim, assert_stream, read_until_tokens

PIPES = ("jobs", "control", "events")
TURNS = [turned for count in range(4) for turned in itertools.combinations(PIPES, count)]


@pytest.fixture
def short_folder():
    """Paths of unix sockets have at most 107 bytes, which pytest's own folders may exceed."""
    with tempfile.TemporaryDirectory(prefix="llorch-") as path:
        yield pathlib.Path(path)


@pytest.fixture
def pair(start, shim_binary, stub_binary, short_folder):
    """A function: a server and a worker `w1`, of whose endpoints the `turned` ones are turned round."""

    def begin(turned, transport="tcp", engine="stub:ms=2"):
        addresses = {
            pipe: f"ipc://{short_folder}/{pipe}" if transport == "ipc" else f"tcp://127.0.0.1:{port}"
            for pipe, port in zip(PIPES, free_ports(3))}

        def end(pipe, is_reader):
            """Whoever reads binds, unless it is turned round."""
            return ("bind:" if is_reader != (pipe in turned) else "connect:") + addresses[pipe]

        def begin_worker():
            return start(Worker, stub_binary, name="w1", events_port=1, arguments=[
                "--engine", engine, "--jobs", end("jobs", True), "--control", end("control", True),
                "--events", end("events", False)])

        shim = start(Shim, shim_binary, arguments=[
            "--events", end("events", True),
            "--worker", f"w1={end('jobs', False)},{end('control', False)}"])
        return shim, begin_worker(), begin_worker

    return begin


def assert_right(events, job_id, count):
    assert_stream(events)
    assert events[-1]["type"] == "end", events[-1]
    assert text_of(events) == stream(job_id, count)[1]


@pytest.mark.parametrize("transport, turned", [
    *(("tcp", turned) for turned in TURNS), ("ipc", ()), ("ipc", PIPES),
], ids=lambda value: value if isinstance(value, str) else "+".join(value) or "as usual")
def test_either_side_may_bind(pair, transport, turned):
    shim, worker, _ = pair(turned, transport)
    shim.until_healthy()
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        runs = list(pool.map(lambda n: shim.execute(job_id=f"turn-{n}", max_tokens=16), range(12)))
    for number, events in enumerate(runs):
        assert_right(events, f"turn-{number}", 16)
    # The answer to a cancel says that control leads there too.
    with shim.stream(job_id="long", max_tokens=2048) as events:
        read_until_tokens(events, 1)
        httpx.post(f"{shim.url}/cancel", json={"job_id": "long"}, timeout=PATIENCE)
        assert list(events)[-1]["code"] == "CANCELLED"
    assert worker.log.count("job begins") == 13


@pytest.mark.parametrize("turned", [("jobs", "control"), PIPES], ids="+".join)
def test_a_kill_is_survived_whoever_binds(pair, turned):
    shim, worker, begin_worker = pair(turned, engine="stub:ms=5")
    shim.until_healthy()
    with shim.stream(job_id="killed", max_tokens=600) as events:
        heard = read_until_tokens(events, 20)
        worker.signal(signal.SIGKILL)
        worker.wait()
        again = begin_worker()
        heard += list(events)
    assert_right(heard, "killed", 600)
    # What a bound pipe held for the dead process may go to the next: a copy, which is not run again.
    assert again.log.count("job begins") == 1


def test_workers_that_share_one_pipe(start, stub_binary, dispatcher):
    """`--jobs connect:` to one bound PUSH, which deals jobs out blindly; one of the two is killed.

    Nobody can be asked what he has, so what was not heard of for a second is dealt again.
    """
    (port,) = free_ports(1)
    pipe = dispatcher.context.socket(zmq.PUSH)
    pipe.linger = 0
    pipe.immediate = 1
    pipe.bind(f"tcp://127.0.0.1:{port}")

    def begin(name):
        return start(Worker, stub_binary, name=name, events_port=dispatcher.events_port, arguments=[
            "--engine", "stub:ms=5", "--jobs", f"connect:tcp://127.0.0.1:{port}"])

    victim, _ = begin("a"), begin("b")
    for name in "ab":
        dispatcher.until(lambda e, name=name: e["type"] == "heartbeat" and e["worker"] == name
                         and e["state"] == "idle", what=f"the heartbeat of {name}")
    jobs = {f"dealt-{number}": 0.0 for number in range(60)}
    ended = {}
    end = time.monotonic() + PATIENCE
    while jobs and time.monotonic() < end:
        now = time.monotonic()
        out = [id for id, sent in jobs.items() if sent]
        for id, sent in jobs.items():
            if sent < now - 1 and (sent or len(out) < 8):
                out.append(id)
                jobs[id] = now
                pipe.send_json({"v": 1, "type": "job", "job_id": id, "attempt": 1,
                                "prompt": "Hello", "max_tokens": 20})
        if victim and len(ended) == 20:
            victim.signal(signal.SIGKILL)
            victim.wait()
            victim = None
            begin("a")
        event = dispatcher.receive(0.05)
        if event and event.get("job_id") in jobs:
            jobs[event["job_id"]] = now
            if event["type"] in TERMINAL:
                del jobs[event["job_id"]]
                ended[event["job_id"]] = event
    assert not jobs, f"lost: {sorted(jobs)}"
    assert victim is None
    for id, last in ended.items():
        assert last["type"] == "end", last
        # Two may have run it, and both say the same; the one that ended said all of it.
        events = [event for event in dispatcher.of(id)
                  if (event["worker"], event["boot"]) == (last["worker"], last["boot"])]
        held = {}
        for event in events:
            if event["type"] == "token":
                held |= zip(itertools.count(event["i"]), event["ids"])
        assert [held[n] for n in sorted(held)] == stream(id, 20)[0]
    begun = {event["worker"] for event in dispatcher.heard if event["type"] == "started"}
    assert begun == {"a", "b"}


def refused(binary, *arguments):
    """What a program says that cannot begin. How soon it says so: T8 of the fault tests."""
    done = run(binary, *arguments)
    assert done.returncode == 1, done
    return done.stderr.decode().strip().splitlines()[-1]


@pytest.mark.parametrize("pipe", ["jobs", "control"])
def test_an_ipc_path_has_one_worker(
        start, stub_binary, worker_binary, tiny_model, dispatcher, short_folder, pipe):
    paths = {name: f"ipc://{short_folder}/{name}" for name in ("jobs", "control", "other")}
    first = start(Worker, stub_binary, name="first", events_port=dispatcher.events_port, arguments=[
        "--engine", "stub:ms=1", "--jobs", paths["jobs"], "--control", paths["control"]])
    dispatcher.until(lambda e: e["type"] == "heartbeat" and e["state"] == "idle")
    other = "control" if pipe == "jobs" else "jobs"
    said = refused(worker_binary, "serve", "--worker-id", "second", "--model", tiny_model,
                   f"--{pipe}", paths[pipe], f"--{other}", paths["other"])
    assert said.startswith(f"error: {paths[pipe]}: the address is in use"), said
    # The first keeps its path, which a second bind would have taken from it without a word.
    dispatcher.worker = first
    dispatcher.jobs = dispatcher.context.socket(zmq.PUSH)
    dispatcher.jobs.connect(paths["jobs"])
    events = dispatcher.finish(dispatcher.send(job_id="still", max_tokens=4))
    assert ids_of(events) == stream("still", 4)[0]


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_events_have_one_reader(start, shim_binary, short_folder, transport):
    """A second one would take every other event away."""
    port, first_port, second_port = free_ports(3)
    address = f"tcp://127.0.0.1:{port}" if transport == "tcp" else f"ipc://{short_folder}/events"
    first = start(Shim, shim_binary, arguments=["--events", address])
    first.until(lambda health: health["status"] == "unhealthy")
    said = refused(shim_binary, "--port", second_port, "--events", address)
    assert "in use" in said and address in said, said
    if transport == "tcp":
        with zmq.Context() as context, context.socket(zmq.PULL) as pull:
            with pytest.raises(zmq.ZMQError) as error:
                pull.bind(address)
        assert error.value.errno == zmq.EADDRINUSE
    assert first.is_running() and first_port


def test_a_worker_is_reached_where_it_says(start, shim_binary, stub_binary):
    """As behind a port that is forwarded: what it bound is known to the forwarder only."""
    shim = start(Shim, shim_binary)
    jobs, control = free_ports(2)
    seen = []
    forwarders = [ChaosProxy(("127.0.0.1", port), lambda port=port: seen.append(port))
                  for port in (jobs, control)]
    try:
        start(Worker, stub_binary, name="w1", events_port=shim.events_port, ports=(jobs, control),
              arguments=["--engine", "stub:ms=1", "--advertise-jobs", forwarders[0].address,
                         "--advertise-control", forwarders[1].address])
        shim.until_healthy()
        assert_right(shim.execute(job_id="forwarded", max_tokens=16), "forwarded", 16)
        with shim.stream(job_id="long", max_tokens=2048) as events:
            read_until_tokens(events, 1)
            httpx.post(f"{shim.url}/cancel", json={"job_id": "long"}, timeout=PATIENCE)
            assert list(events)[-1]["code"] == "CANCELLED"
        assert set(seen) == {jobs, control}
        # Without the forwarders there is no other way to it.
        for forwarder in forwarders:
            forwarder.close()
        with shim.stream(job_id="unreached", max_tokens=4) as events:
            time.sleep(0.5)  # in which it would have been answered
            httpx.post(f"{shim.url}/cancel", json={"job_id": "unreached"}, timeout=PATIENCE)
            assert list(events)[-1]["code"] == "CANCELLED"
    finally:
        for forwarder in forwarders:
            forwarder.close()
