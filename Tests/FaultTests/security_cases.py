"""Strangers before sockets that ask for keys: T20."""
# SPDX-License-Identifier: Apache-2.0

import contextlib
import json
import os
import socket
import struct
import subprocess
import threading
import time

import zmq
import zmq.auth
from zmq.auth.thread import ThreadAuthenticator

from PythonSupport.half_open import half_open_connections
from PythonSupport.programs import binaries

from .cases import case, percentile
from .dispatcher import Rules
from .message_cases import GREETING, READY

class Pair:
    def __init__(self, folder, name):
        subprocess.run([binaries() / "llorch-worker", "keys", folder / name], check=True, timeout=30,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.public_file, self.secret_file = folder / f"{name}.key", folder / f"{name}.key_secret"
        self.public, self.secret = zmq.auth.load_certificate(self.secret_file)

    def connect_to(self, pipe, server):
        pipe.curve_publickey, pipe.curve_secretkey, pipe.curve_serverkey = self.public, self.secret, server


class DispatcherKeys:
    """The dispatcher's own pair, and the key of its one worker."""

    def __init__(self, pair, worker_public, allowed):
        self.pair, self.worker_public, self.allowed = pair, worker_public, allowed

    def serve(self, events, context):
        self.authenticator = ThreadAuthenticator(context)
        self.authenticator.start()
        self.authenticator.configure_curve(domain="*", location=str(self.allowed))
        events.curve_publickey, events.curve_secretkey = self.pair.public, self.pair.secret
        events.curve_server = True

    def use(self, pipe):
        self.pair.connect_to(pipe, self.worker_public)

    def close(self):
        self.authenticator.stop()


def worker_with_keys(run):
    folder = run.folder / "keys"
    folder.mkdir(mode=0o700)
    pairs = {name: Pair(folder, name) for name in ("worker", "dispatcher", "unknown", "other")}
    allowed = {}
    for whose, who in (("worker", "dispatcher"), ("dispatcher", "worker")):
        allowed[whose] = folder / f"allowed-by-{whose}"
        allowed[whose].mkdir()
        os.link(pairs[who].public_file, allowed[whose] / f"{who}.key")
    dispatcher = run.begin(Rules(window=2), keys=DispatcherKeys(
        pairs["dispatcher"], pairs["worker"].public, allowed["dispatcher"]))
    worker = run.worker("w1", "stub:ms=1", arguments=[
        "--curve-secret-key", pairs["worker"].secret_file, "--curve-allowed-keys", allowed["worker"]])
    dispatcher.until_workers(1)
    return dispatcher, worker, pairs


@case("T20", "keys and strangers")
def strangers(run, jobs=300, half_open=500, turns=5):
    dispatcher, worker, pairs = worker_with_keys(run)
    about_strangers = []
    dispatcher.on_event = lambda event: about_strangers.append(event) \
        if str(event.get("job_id")).startswith("stranger") else None
    context = zmq.Context()
    held, frames = [], [
        json.dumps({"v": 1, "type": "job", "job_id": f"stranger-{n}", "attempt": 1, "prompt": "Hello",
                    "max_tokens": 4}).encode() for n in range(100)] + [b'{"v":1,"type":"drain"}']
    kinds = {"no key": None, "a key that is not allowed": ("unknown", "worker"),
             "another server's key": ("dispatcher", "other")}
    for address in (worker.jobs, worker.control):
        for keys in kinds.values():
            pipe = context.socket(zmq.PUSH)
            pipe.linger = 0
            if keys:
                pairs[keys[0]].connect_to(pipe, pairs[keys[1]].public)
            pipe.connect(address)
            for frame in frames:
                pipe.send(frame)
            held.append(pipe)
        raw = socket.create_connection(("127.0.0.1", int(address.rsplit(":", 1)[1])), timeout=5)
        raw.sendall(GREETING + READY)
        with contextlib.suppress(OSError):
            for frame in frames:
                raw.sendall(b"\x02" + struct.pack(">Q", len(frame)) + frame)
        held.append(raw)
    for number in range(jobs):
        dispatcher.submit(f"known-{run.seed}-{number}", 4)
    run.finish(60)
    run.run_for(4)  # longer than a handshake may take
    refusals = "connections were refused" in worker.log or pairs["unknown"].public.decode() in worker.log
    for thing in held:
        thing.close()
    quiet, besieged = besiege(run, worker, half_open, turns)
    context.destroy(linger=0)
    alive = worker.is_running()
    found = run.check()
    run.exactly("events about strangers' jobs", len(about_strangers), 0)
    run.exactly("strangers' jobs executed",
                sum(count for id, count in found.executions.items() if id.startswith("stranger")), 0)
    run.figure("refusals are in the log", refusals, True, refusals)
    run.figure("the worker lives and was not drained", alive, True, alive)
    run.measured["T20"] = {"quiet_ms": [round(percentile(quiet, p) * 1000, 2) for p in (50, 99)],
                           "besieged_ms": [round(percentile(besieged, p) * 1000, 2) for p in (50, 99)]}
    run.at_most(f"a job's time beside {half_open} half-open connections against without, p50",
                percentile(besieged, 50) / percentile(quiet, 50), 1.1, is_of_time=True)


def besiege(run, worker, half_open, turns, count=60):
    """Jobs one after another, with and without the connections, in turn: machines change their pace."""
    dispatcher = run.dispatcher

    def times(label):
        result = []
        for number in range(count):
            id = f"{label}-{run.seed}-{number}"
            begin = time.monotonic()
            dispatcher.submit(id, 16)
            dispatcher.run(lambda: id not in dispatcher.jobs, 30)
            result.append(time.monotonic() - begin)
        return result

    quiet, besieged = [], []
    times("warm")
    for turn in range(turns):
        quiet += times(f"quiet-{turn}")
        with half_open_connections(worker.jobs.rsplit(":", 1)[1], half_open) as flood:
            # Nobody reads what it prints; a full pipe must not stop it.
            threading.Thread(target=flood.stdout.read, daemon=True).start()
            besieged += times(f"besieged-{turn}")
    return quiet, besieged
