"""Access by keys: who is let in works as ever, nobody else gets a job in or disturbs those who do."""
# SPDX-License-Identifier: Apache-2.0

import concurrent.futures
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import time

import pytest
import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator

from harness import PATIENCE, Dispatcher, Process, Worker, run, terminate, text_of
from PythonSupport.half_open import half_open_connections
from PythonSupport.ports import free_ports
from PythonSupport.programs import ROOT
from shim import Shim, assert_stream


class Pair:
    """A key pair in files."""

    def __init__(self, name):
        self.public_file = pathlib.Path(f"{name}.key")
        self.secret_file = pathlib.Path(f"{name}.key_secret")
        self.public, self.secret = zmq.auth.load_certificate(self.secret_file)


@pytest.fixture
def make_keys(worker_binary, tmp_path):
    """A function from names to pairs that `llorch-worker keys` made."""

    def make(name):
        done = run(worker_binary, "keys", tmp_path / name, seconds=PATIENCE)
        assert done.returncode == 0, done.stderr
        return Pair(tmp_path / name)

    return make


class CurveDispatcher(Dispatcher):
    """Has a key, speaks to one worker and hears that worker only."""

    def __init__(self, pair, worker_pair):
        self.pair, self.worker_pair = pair, worker_pair
        super().__init__()

    def secure_events(self, socket):
        directory = self.worker_pair.public_file.parent / "workers"
        directory.mkdir(exist_ok=True)
        shutil.copy(self.worker_pair.public_file, directory)
        self.authenticator = ThreadAuthenticator(self.context)
        self.authenticator.start()
        self.authenticator.configure_curve(domain="*", location=str(directory))
        socket.curve_secretkey = self.pair.secret
        socket.curve_publickey = self.pair.public
        socket.curve_server = True

    def secure_push(self, socket):
        connect_as(socket, self.pair, self.worker_pair.public)

    def close(self):
        self.authenticator.stop()
        super().close()


def connect_as(socket, pair, server):
    socket.curve_publickey, socket.curve_secretkey = pair.public, pair.secret
    socket.curve_serverkey = server


@pytest.fixture
def keys(make_keys):
    """The keys of a worker and of its dispatcher, which is allowed by a directory of its own."""
    pairs = {name: make_keys(name) for name in ("worker", "dispatcher")}
    allowed = pairs["worker"].public_file.parent / "allowed"
    allowed.mkdir()
    shutil.copy(pairs["dispatcher"].public_file, allowed)
    return pairs | {"allowed": allowed}


def options(secret, allowed, server=None):
    return ["--curve-secret-key", secret.secret_file, "--curve-allowed-keys", allowed,
            *(["--curve-server-key", server.public_file] if server else [])]


@pytest.fixture
def dispatcher(keys):
    dispatcher = CurveDispatcher(keys["dispatcher"], keys["worker"])
    yield dispatcher
    dispatcher.close()


@pytest.fixture
def worker(start_worker, dispatcher, keys, tiny_model):
    # The server key is left out: the one allowed key is the dispatcher's.
    worker = start_worker(tiny_model, arguments=options(keys["worker"], keys["allowed"]))
    dispatcher.attach(worker)
    return worker


def test_key_files(worker_binary, tmp_path):
    name = tmp_path / "w1"
    done = run(worker_binary, "keys", name, seconds=PATIENCE)
    assert done.returncode == 0, done.stderr
    public = done.stdout.decode().strip()
    secret_file, public_file = tmp_path / "w1.key_secret", tmp_path / "w1.key"
    assert secret_file.stat().st_mode & 0o777 == 0o600
    assert zmq.auth.load_certificate(public_file) == (public.encode(), None)
    loaded, secret = zmq.auth.load_certificate(secret_file)
    assert loaded.decode() == public == zmq.curve_public(secret).decode()
    assert secret not in done.stdout + done.stderr
    assert run(worker_binary, "keys", "--show", name, seconds=PATIENCE).stdout.decode() == public + "\n"
    # Neither file is ever replaced, and no half of a pair is left.
    before = secret_file.read_bytes(), public_file.read_bytes()
    done = run(worker_binary, "keys", name, seconds=PATIENCE)
    assert done.returncode == 1 and b"is there already" in done.stderr and not done.stdout
    assert (secret_file.read_bytes(), public_file.read_bytes()) == before
    secret_file.unlink()
    done = run(worker_binary, "keys", name, seconds=PATIENCE)
    assert done.returncode == 1 and b"w1.key: the file is there already" in done.stderr
    assert not secret_file.exists() and public_file.read_bytes() == before[1]


def test_the_right_keys(worker, dispatcher, keys):
    job = dispatcher.send("Hello", seed=1)
    assert text_of(dispatcher.finish(job))
    dispatcher.cancel("unknown")
    assert dispatcher.until_job("unknown", "error")["code"] == "CANCELLED"
    assert terminate(worker) == 0
    for pair in (keys["worker"], keys["dispatcher"]):
        assert pair.secret.decode() not in worker.log
    assert keys["worker"].public.decode() in worker.log


def test_keys_of_pyzmq(start, keys, tiny_model, tmp_path, worker_binary):
    zmq.auth.create_certificates(tmp_path, "python", {"place": "rack 4"})
    pair = Pair(tmp_path / "python")
    arguments = options(pair, keys["allowed"])
    # pyzmq leaves the secret readable by everyone.
    pair.secret_file.chmod(0o644)
    done = run(worker_binary, "serve", *arguments, seconds=PATIENCE)
    assert done.returncode == 1 and b"chmod 600" in done.stderr, done.stderr
    assert pair.secret not in done.stderr
    pair.secret_file.chmod(0o600)
    dispatcher = CurveDispatcher(keys["dispatcher"], pair)
    try:
        worker = start(Worker, worker_binary, name="w1", events_port=dispatcher.events_port,
                       model=tiny_model, arguments=arguments)
        dispatcher.attach(worker)
        assert dispatcher.finish(dispatcher.send("Hello"))[-1]["type"] == "end"
    finally:
        dispatcher.close()


def test_the_example(start, worker_binary, make_keys, tiny_model, tmp_path):
    text = (ROOT / "examples/secure_client.py").read_text(encoding="utf-8")
    ports = free_ports(3)
    for default, port in zip((5600, 5601), ports):
        text = text.replace(str(default), str(port))
    worker, client = make_keys("worker"), make_keys("client")
    start(Worker, worker_binary, name="worker", events_port=ports[0], ports=ports[1:], model=tiny_model,
          arguments=options(worker, client.public_file))
    done = subprocess.run([sys.executable, "-c", text], cwd=tmp_path, timeout=PATIENCE, check=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, encoding="utf-8")
    assert "'type': 'end'" in done.stdout


def test_the_feeder(start, worker_binary, make_keys, tiny_model, tmp_path):
    events, *ports = free_ports(3)
    worker, feeder = make_keys("worker"), make_keys("feeder")
    start(Worker, worker_binary, name="w1", events_port=events, ports=ports, model=tiny_model,
          arguments=options(worker, feeder.public_file))
    done = subprocess.run(
        [sys.executable, ROOT / "Tools/feeder", "--jobs", "20", "--rate", "0", "--json",
         "--max-tokens", "4", "--events", f"tcp://127.0.0.1:{events}",
         "--curve-secret-key", feeder.secret_file, "--curve-allowed-keys", worker.public_file],
        timeout=PATIENCE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr.decode()
    assert b'"unanswered": 0' in done.stdout


# Strangers

JOB = (b'{"v":1,"type":"job","job_id":"stranger","attempt":1,"prompt":"Hello","max_tokens":4}')
LONG_FRAME = struct.pack(">BQ", 2, len(JOB)) + JOB
GREETING = b"\xff" + bytes(8) + b"\x7f"


def null_greeting(mechanism=b"NULL"):
    return GREETING + b"\x03\x00" + mechanism.ljust(20, b"\0") + bytes(32)


READY = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x04PUSH"
RAW = {
    "ZMTP 3.0 without security": null_greeting() + READY + LONG_FRAME,
    "ZMTP 3.0 that claims CURVE": null_greeting(b"CURVE") + READY + LONG_FRAME,
    "ZMTP 2.0": GREETING + b"\x01\x08\x00\x00" + LONG_FRAME,
    "ZMTP 1.0": b"\x01\x00" + b"\xff" + struct.pack(">Q", len(JOB) + 1) + b"\x00" + JOB,
    "noise": bytes(range(256)) * 64,
}


def raw_stranger(port, data):
    """Sends bytes and what would be a job, and leaves the connection open."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    connection.sendall(data)
    return connection


def curve_stranger(context, port, pair=None, server=None):
    push = context.socket(zmq.PUSH)
    push.linger, push.handshake_ivl = 0, 3000
    if pair:
        connect_as(push, pair, server)
    push.connect(f"tcp://127.0.0.1:{port}")
    push.send(JOB)
    return push


def test_strangers(worker, dispatcher, keys, make_keys):
    unknown, other = make_keys("unknown"), make_keys("other")
    right = keys["worker"].public
    context = zmq.Context()
    held = []
    try:
        for port in (worker.jobs_port, worker.control_port):
            held += [raw_stranger(port, data) for data in RAW.values()]
            held += [curve_stranger(context, port),
                     curve_stranger(context, port, unknown, right),
                     curve_stranger(context, port, keys["dispatcher"], other.public)]
        # Only the one that knows the worker's key comes as far as being asked who it is.
        dispatcher.until(lambda _: unknown.public.decode() in worker.log, what="the refusal in the log")
        for _ in range(20):
            assert dispatcher.finish(dispatcher.send("Hello"))[-1]["type"] == "end"
        dispatcher.listen(4)  # longer than a handshake may take
        dispatcher.until(lambda _: "connections were refused" in worker.log, what="the count of refusals")
        assert dispatcher.of("stranger") == []
        assert other.public.decode() not in worker.log
    finally:
        for connection in held:
            connection.close()
        context.destroy(linger=0)
    assert terminate(worker) == 0


def test_a_stranger_is_one_no_more(worker, dispatcher, keys, make_keys):
    """The twin of the test above, and: allowed keys are read again when someone connects."""
    late = make_keys("late")
    context = zmq.Context()
    try:
        push = curve_stranger(context, worker.jobs_port, late, keys["worker"].public)
        dispatcher.until(lambda _: late.public.decode() in worker.log, what="the refusal in the log")
        assert dispatcher.of("stranger") == []
        shutil.copy(late.public_file, keys["allowed"])
        assert dispatcher.finish("stranger")[-1]["type"] == "end"
        push.close()
    finally:
        context.destroy(linger=0)


def test_a_worker_speaks_to_its_dispatcher_only(start_worker, dispatcher, keys, make_keys, tiny_model):
    """The events address is taken by someone with another key: nothing is sent there."""
    other = make_keys("impostor")
    worker = start_worker(tiny_model, arguments=options(keys["worker"], keys["allowed"], other))
    deadline = time.monotonic() + PATIENCE
    while "sockets are open" not in worker.log and time.monotonic() < deadline:
        dispatcher.listen(0.1)
    dispatcher.listen(4)
    assert dispatcher.heard == []
    assert terminate(worker) == 0


def test_half_open_connections_keep_nobody_out(worker, dispatcher):
    """Five hundred of them, always new ones: they are cut, and jobs are answered as ever. That jobs take no longer is
    a figure of the fault tests: T20.
    """
    count = 500
    with half_open_connections(worker.jobs_port, count) as flood:
        # Each of the first lot and some more: none is kept for good.
        cuts = concurrent.futures.ThreadPoolExecutor(1).submit(
            lambda: [flood.stdout.readline() for _ in range(count + 50)])
        answered = 0
        end = time.monotonic() + 4 * PATIENCE
        while (answered < 60 or not cuts.done()) and time.monotonic() < end:
            assert dispatcher.finish(dispatcher.send("Hello", max_tokens=16, seed=1))[-1]["type"] == "end"
            answered += 1
        assert cuts.done() and set(cuts.result()) == {b"cut\n"}, "connections were kept"
        # Held by the worker: no more than there are now, and its own.
        assert worker.descriptors() < count + 100
    assert terminate(worker) == 0


# The shim


def test_the_shim_and_its_workers(start, shim_binary, worker_binary, keys, make_keys, tiny_model, tmp_path):
    server, successor, stranger = (make_keys(name) for name in ("shim", "successor", "stranger"))
    workers = tmp_path / "workers-of-shim"
    workers.mkdir()
    for pair in (keys["worker"], successor):
        shutil.copy(pair.public_file, workers)
    shim = start(Shim, shim_binary, arguments=options(server, workers))

    def begin(name, pair, ports=None):
        return start(Worker, worker_binary, name=name, events_port=shim.events_port, model=tiny_model,
                     ports=ports, arguments=options(pair, server.public_file))

    first = begin("w1", keys["worker"])
    begin("w2", stranger)
    plain = start(Worker, worker_binary, name="w3", events_port=shim.events_port, model=tiny_model)
    shim.until_healthy()
    assert_stream(shim.execute(job_id="a"))
    shim.until(lambda _: stranger.public.decode() in shim.log)
    assert [w["worker_id"] for w in shim.health()["workers"]] == ["w1"]
    # Another key at the same addresses: the shim follows the key with which the heartbeats come.
    first.kill()
    begin("w1", successor, ports=(first.jobs_port, first.control_port))
    shim.until(lambda health: shim.log.count("worker seen") >= 2)
    shim.until_healthy()
    assert_stream(shim.execute(job_id="b"))
    assert plain.is_running()
    for pair in (server, successor, keys["worker"]):
        assert pair.secret.decode() not in shim.log


# The command line


@pytest.mark.parametrize("arguments, words", [
    (["--jobs", "tcp://0.0.0.0:5601"], ["--jobs", "tcp://0.0.0.0:5601", "refusing", "--curve-secret-key"]),
    (["--control", "bind:tcp://*:5602"], ["--control", "refusing", "127.0.0.1"]),
    (["--events", "bind:tcp://192.168.0.1:5600"], ["--events", "refusing"]),
    (["--insecure-bind", "--jobs", "tcp://0.0.0.0:5601"], ["--advertise-jobs"]),
    (["--curve-allowed-keys", "x"], ["--curve-allowed-keys needs --curve-secret-key"]),
    (["--curve-secret-key", "x"], ["--curve-secret-key needs --curve-allowed-keys"]),
], ids=lambda value: " ".join(value))
def test_what_is_refused_at_once(worker_binary, arguments, words):
    done = run(worker_binary, "serve", *arguments)
    assert done.returncode == 2, done
    for word in words:
        assert word in done.stderr.decode()


def test_the_shim_refuses_the_same(shim_binary):
    done = run(shim_binary, "--events", "tcp://0.0.0.0:5600")
    assert done.returncode == 2 and b"refusing" in done.stderr, done
    done = run(shim_binary, "--curve-secret-key", "nowhere", "--curve-allowed-keys", "x")
    assert done.returncode == 1 and b"nowhere" in done.stderr, done


def test_an_exposed_worker_says_so(start, worker_binary, tiny_model, dispatcher):
    port, control = free_ports(2)
    process = start(Process, [
        worker_binary, "serve", "--model", tiny_model, "--insecure-bind",
        "--jobs", f"tcp://0.0.0.0:{port}", "--advertise-jobs", f"tcp://127.0.0.1:{port}",
        "--control", f"tcp://127.0.0.1:{control}", "--events", f"tcp://127.0.0.1:{dispatcher.events_port}"])
    deadline = time.monotonic() + PATIENCE
    while "--insecure-bind" not in process.log and time.monotonic() < deadline:
        time.sleep(0.02)
    assert "whoever reaches the addresses can send jobs" in process.log
    assert terminate(process) == 0
