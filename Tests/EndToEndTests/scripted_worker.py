"""A worker that writes what a test tells it to, over LLQ/1: text that no model would write, and jobs that last.

It knows just enough of the protocol for one shim that loses nothing; how a worker must behave is in
docs/wire-protocol.md.
"""
# SPDX-License-Identifier: Apache-2.0

import threading
import time

import zmq

from PythonSupport.ports import free_ports


class ScriptedWorker:
    """`scripts` maps a prompt to the events of its job; a job without an `end` lasts until it is cancelled."""

    def __init__(self, events_port, scripts, *, name="scripted", model="scripted"):
        self.name, self.model, self.scripts = name, model, scripts
        self.jobs = []  # every job that came, once
        self._ports = free_ports(2)
        self._boot, self._sequence = int(time.time() * 1e6), 0
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(events_port,), daemon=True)
        self._thread.start()

    def close(self):
        self._is_closed.set()
        self._thread.join(30)

    def _serve(self, events_port):
        context = zmq.Context()
        try:
            inputs = [context.socket(zmq.PULL) for _ in self._ports]
            for socket, port in zip(inputs, self._ports):
                socket.bind(f"tcp://127.0.0.1:{port}")
            self._events = context.socket(zmq.PUSH)
            self._events.connect(f"tcp://127.0.0.1:{events_port}")
            heard_at = 0.0
            while not self._is_closed.is_set():
                if time.monotonic() - heard_at > 1:
                    self._beat()
                    heard_at = time.monotonic()
                zmq.select(inputs, [], [], 0.05)
                for socket in inputs:
                    while socket.poll(0):
                        self._take(socket.recv_json())
        finally:
            context.destroy(linger=0)

    def _beat(self):
        jobs, control = (f"tcp://127.0.0.1:{port}" for port in self._ports)
        self._send({
            "type": "heartbeat", "state": "idle", "jobs": jobs, "control": control, "running": None,
            "queued": 0, "free": 100, "model": {
                "name": self.model, "digest": "5c", "precision": "f32", "context_length": 1024,
                "vocabulary_size": 300, "memory_bytes": 0}})

    def _send(self, message):
        self._events.send_json(
            {"v": 1, "worker": self.name, "boot": self._boot, "seq": self._sequence, **message})
        self._sequence += 1

    def _take(self, message):
        about = {name: message.get(name) for name in ("job_id", "attempt")}
        if message["type"] == "cancel":
            self._send({"type": "error", **about, "code": "CANCELLED", "message": "cancelled",
                        "retriable": False})
        if message["type"] != "job" or message["job_id"] in [job["job_id"] for job in self.jobs]:
            return
        self.jobs.append(message)
        self._send({"type": "accepted", **about, "state": "queued", "position": 0, "free": 99})
        self._send({"type": "started", **about, "model": self.model, "started_at": "2026-01-01T00:00:00Z",
                    "seed": message["seed"], "prompt_tokens": 1, "queued_ms": 0})
        for event in self.scripts[message["prompt"]]:
            self._send({**event, **about})


def tokens(*pieces):
    """`token` events of texts; a list of byte strings with a text is one piece with several tokens."""
    events, count = [], 0
    for piece in pieces:
        text, parts = piece if isinstance(piece, tuple) else (piece, [piece.encode()])
        entries = [{"id": count + place, "bytes": list(part), "logprob": -1.5, "top": [
            {"id": 200, "bytes": list(b"<b>other</b>"), "logprob": -0.5},
            {"id": count + place, "bytes": list(part), "logprob": -1.5}]}
            for place, part in enumerate(parts)]
        events.append({"type": "token", "t": text, "ids": [entry["id"] for entry in entries], "i": count,
                       "logprobs": entries})
        count += len(parts)
    return events


def end(count, **members):
    return {"type": "end", "tokens_out": count, "decode_time_ms": 1, "stop_reason": "MAX_TOKENS",
            "prompt_tokens": 1, "prefill_ms": 1, "cached_tokens": 0, **members}
