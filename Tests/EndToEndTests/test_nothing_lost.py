"""Nothing lost, nothing twice, over HTTP: jobs that kill their worker, servers that die, workers that leave.

On the stub engine, whose answers are known beforehand. Random faults in numbers: Tests/FaultTests.
"""
# SPDX-License-Identifier: Apache-2.0

import concurrent.futures
import signal
import threading
import time

import httpx
import pytest

from FaultTests.oracle import stream
from harness import PATIENCE, Worker, text_of
from PythonSupport.ports import free_ports
from shim import Shim, assert_stream, read_until_tokens


class Keeper:
    """Starts a worker again when it is killed, as systemd does."""

    def __init__(self, begin):
        self.deaths = 0
        self.processes = [begin()]
        self._begin = begin
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join(PATIENCE)

    def _keep(self):
        while not self._is_over.wait(0.02):
            if not self.processes[-1].is_running():
                assert self.processes[-1].popen.returncode == -signal.SIGKILL
                self.deaths += 1
                self.processes.append(self._begin())

    def count(self, text):
        return sum(process.log.count(text) for process in self.processes)


@pytest.fixture
def serve(start, stub_binary, shim, tmp_path):
    """A function that makes a function that starts a worker, always with the same addresses and directory."""

    def make(name, engine, *arguments):
        ports = free_ports(2)
        directory = tmp_path / f"{name}.state"
        directory.mkdir()
        return lambda: start(
            Worker, stub_binary, name=name, events_port=shim.events_port, ports=ports,
            arguments=["--engine", engine, "--state-directory", directory, *arguments])

    return make


def assert_right(events, job_id, count):
    assert_stream(events)
    assert events[-1]["type"] == "end", events[-1]
    assert text_of(events) == stream(job_id, count)[1]


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)  # between two looks, not in place of one


@pytest.mark.parametrize("place", [0, 3], ids=lambda place: f"at token {place}")
def test_a_job_that_kills_its_worker_does_so_twice(shim, serve, place):
    with Keeper(serve("w1", "stub:ms=5")) as first, Keeper(serve("w2", "stub:ms=5")) as second:
        shim.until_healthy(2)

        def neighbour(number):
            return shim.execute(job_id=f"n{number}", max_tokens=20)

        def poison():
            answer = httpx.post(f"{shim.url}/execute", timeout=PATIENCE, json={
                "job_id": "poison", "prompt": f"crash@{place}", "max_tokens": 10})
            return answer.status_code, answer.text

        with concurrent.futures.ThreadPoolExecutor(41) as pool:
            before = [pool.submit(neighbour, number) for number in range(20)]
            poisonous = pool.submit(poison)
            after = [pool.submit(neighbour, number) for number in range(20, 40)]
            status, text = poisonous.result()
            for number, done in enumerate(before + after):
                assert_right(done.result(), f"n{number}", 20)
        assert '"POISON"' in text and (status == 500 or '"retriable":false' in text), (status, text)
        assert text.count('"t":') <= place
        assert first.deaths + second.deaths == 2
        assert first.count("job_id=poison") + second.count("job_id=poison") == 2, "begun, never ended"
        # Nothing of it is left behind.
        assert_right(shim.execute(job_id="last", max_tokens=4), "last", 4)


@pytest.mark.parametrize("is_over", [False, True], ids=["while it runs", "after its end"])
@pytest.mark.parametrize("members", [{"seed": 7}, {}], ids=["own seed", "seed of started"])
def test_a_client_whose_server_was_killed_asks_again(
        start, shim_binary, shim, serve, is_over, members):
    worker = serve("w1", "stub:ms=10")()
    shim.until_healthy()
    with shim.stream(job_id="again", max_tokens=400, **members) as events:
        started = read_until_tokens(events, 20)[0]
        shim.signal(signal.SIGKILL)
        shim.wait()
        with pytest.raises(httpx.HTTPError):
            list(events)
    if is_over:
        wait_for(lambda: "job ended" in worker.log, "the worker ends the job unheard")
    second = start(Shim, shim_binary, ports=(shim.port, shim.events_port))
    second.until_healthy()
    events = second.execute(job_id="again", max_tokens=400, seed=started["seed"])
    assert_right(events, "again", 400)
    assert worker.log.count("job begins") == 1, "it was run again, not replayed"


def test_another_job_under_the_same_id_is_a_conflict(start, shim_binary, shim, serve):
    serve("w1", "stub:ms=10")()
    shim.until_healthy()
    with shim.stream(job_id="mine", max_tokens=100, seed=1) as events:
        read_until_tokens(events, 5)
        shim.signal(signal.SIGKILL)
        shim.wait()
    second = start(Shim, shim_binary, ports=(shim.port, shim.events_port))
    second.until_healthy()
    answer = httpx.post(f"{second.url}/execute", timeout=PATIENCE, json={
        "job_id": "mine", "prompt": "Hello", "max_tokens": 100, "seed": 2})
    assert answer.status_code == 409
    assert answer.json()["errors"][0]["constraint"] == "JOB_ID_CONFLICT"


@pytest.mark.parametrize("drain_timeout", [0.2, 60], ids=["cut short", "in time"])
def test_a_worker_that_leaves_hands_its_job_on(shim, serve, drain_timeout):
    # What is to be cut short lasts for seconds more.
    tokens = 600 if drain_timeout < 1 else 150
    workers = {name: serve(name, "stub:ms=10", "--drain-timeout", str(drain_timeout))()
               for name in ("w1", "w2")}
    shim.until_healthy(2)
    with shim.stream(job_id="kept", max_tokens=tokens) as events:
        heard = read_until_tokens(events, 20)
        leaving = next(w for w in workers.values() if "job begins" in w.log)
        staying = next(w for w in workers.values() if w is not leaving)
        leaving.signal(signal.SIGTERM)
        heard += list(events)
    assert_right(heard, "kept", tokens)
    assert leaving.wait() == 0
    assert ("job begins" in staying.log) == (drain_timeout < 1)
    assert_right(shim.execute(job_id="next", max_tokens=4), "next", 4)
    assert "job begins" in staying.log
    shim.until(lambda health: [w["worker_id"] for w in health["workers"]] == [staying.name])


def test_all_workers_leave_and_one_comes_back(shim, serve):
    """The job waits in the server, with the tokens that came, for whoever can go on."""
    begin = serve("w1", "stub:ms=10", "--drain-timeout", "0.1")
    worker = begin()
    shim.until_healthy()
    with shim.stream(job_id="waits", max_tokens=150) as events:
        heard = read_until_tokens(events, 20)
        worker.signal(signal.SIGTERM)
        assert worker.wait() == 0
        begin()
        heard += list(events)
    assert_right(heard, "waits", 150)
