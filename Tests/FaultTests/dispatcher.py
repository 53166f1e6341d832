"""A dispatcher that keeps the five rules of docs/wire-protocol.md, and writes down all it does.

Each rule can be switched off, which must turn the tests red. What is right is not judged here: checker.py.
"""
# SPDX-License-Identifier: Apache-2.0

import json
import time

import zmq

from .oracle import stream
from .records import TERMINAL, Job, Peer, Rules


class Dispatcher:
    def __init__(self, history, events, rules=None, *, addresses=None, keys=None):
        self.history = history
        self.rules = rules or Rules()
        self.addresses = addresses or {}
        self.keys = keys
        self.context = zmq.Context()
        self.events = self.context.socket(zmq.PULL)
        self._options(self.events)
        if keys:
            keys.serve(self.events, self.context)
        self.events.rcvhwm = 0
        self.events.maxmsgsize = 1 << 20
        if events.startswith("connect:"):
            self.events.connect(events[8:])
        else:
            self.events.bind(events)
        self.peers = {}
        self.jobs = {}
        self.cancelling = set()
        self.waiting = {}   # ids without a worker, in order
        self.results = {}   # id -> terminal event
        self.counts = dict.fromkeys(
            ("fenced", "gaps", "resends", "moves", "repeats", "sockets_recreated", "unknown"), 0)
        self.unknown_types = {}
        self.on_event = None
        self._timers_due = 0.0

    @staticmethod
    def _options(socket):
        socket.linger = 0
        socket.reconnect_ivl = 100
        socket.reconnect_ivl_max = 2000
        socket.handshake_ivl = 3000

    def close(self):
        if self.keys:
            self.keys.close()
        self.context.destroy(linger=0)

    # What is asked of it

    def submit(self, job_id, max_tokens=16, prompt="Hello", **members):
        body = {"v": 1, "type": "job", "job_id": job_id, "prompt": prompt, "max_tokens": max_tokens,
                "seed": 1, **members}
        self.history.write("submit", job=job_id, max_tokens=max_tokens)
        self.jobs[job_id] = Job(body, time.monotonic())
        self.waiting[job_id] = None

    def restore(self, lines):
        """Takes up where a dispatcher that was killed left off: what it sent is asked for again."""
        now = time.monotonic()
        done = set()
        sent = {}
        for line in lines:
            kind, id = line["k"], line.get("job")
            if kind == "submit":
                body = {"v": 1, "type": "job", "job_id": id, "prompt": "Hello",
                        "max_tokens": line["max_tokens"], "seed": 1}
                self.jobs[id] = Job(body, now)
            elif kind == "terminal":
                done.add(id)
            elif kind == "deliver":
                self.jobs[id].ids += line["ids"]
                self.jobs[id].text.append(line["text"])
            elif kind == "send":
                sent[id] = line
                self.jobs[id].attempt, self.jobs[id].next = line["attempt"], line["attempt"] + 1
            elif kind == "void":
                sent.pop(id, None)
                self.jobs[id].attempt = self.jobs[id].next = line["attempt"] + 1
        for id in done:
            del self.jobs[id]
        for id, job in self.jobs.items():
            line = sent.get(id)
            if line is None:
                self.waiting[id] = None
                continue
            peer = self.peers.setdefault(line["worker"], Peer(line["worker"]))
            peer.boot, peer.seen = max(peer.boot, line["boot"]), now
            job.worker, job.heard = peer.name, now - self.rules.quiet
            peer.load[id] = None

    def cancel(self, job_id):
        self.jobs[job_id].cancel_due = 0.0
        self.cancelling.add(job_id)

    def run(self, is_done, seconds, every=None):
        """Works until `is_done()`; false where that did not come in time."""
        end = time.monotonic() + seconds
        while not is_done():
            if time.monotonic() >= end:
                return False
            self.work(0.02)
            if every:
                every()
        return True

    def finish(self, seconds, every=None):
        return self.run(lambda: not self.jobs, seconds, every)

    def until_workers(self, count, seconds=60):
        def ready():
            return sum(peer.heartbeat.get("state") in ("idle", "busy")
                       for peer in self.peers.values()) >= count
        if not self.run(ready, seconds):
            raise RuntimeError(f"{count} workers were not heard in {seconds} s: {list(self.peers)}")

    # The loop

    def work(self, patience):
        now = time.monotonic()
        if now >= self._timers_due:
            self._timers_due = now + 0.02
            self._timers(now)
        self._give_out(now)
        if self.events.poll(int(patience * 1000)):
            for _ in range(500):
                try:
                    self._hear(self.events.recv(zmq.NOBLOCK))
                except zmq.Again:
                    break

    def _timers(self, now):
        # Only what is out: ten thousand may wait.
        for peer in self.peers.values():
            for job in [self.jobs[id] for id in peer.load]:
                if now - peer.seen > self.rules.lease:
                    self._void(job, "silent", now)
                elif now - job.heard > self.rules.quiet and self.rules.resend:
                    self._resend(job, "quiet")
        for id in list(self.cancelling):
            job = self.jobs.get(id)
            if job is None:
                self.cancelling.discard(id)
            elif now >= job.cancel_due:
                job.cancel_due = now + 0.25
                self._send_cancel(job)
        for peer in self.peers.values():
            for kind in ("jobs", "control"):
                since = peer.refuses_since if kind == "jobs" else peer.refuses_control_since
                # A worker that speaks, to a socket that never takes anything: a wedged connection.
                if since is not None and now - since > 10 and now - peer.seen < 2:
                    self.history.write("note", what="socket recreated", worker=peer.name, pipe=kind)
                    self.counts["sockets_recreated"] += 1
                    getattr(peer, kind).close(linger=0)
                    self._connect(peer, kind)

    def _connect(self, peer, kind):
        pipe = self.context.socket(zmq.PUSH)
        self._options(pipe)
        pipe.immediate = 1
        pipe.sndhwm = 16
        pipe.sndbuf = 65536
        if self.keys:
            self.keys.use(pipe)
        address = peer.addresses[0 if kind == "jobs" else 1]
        if address.startswith("bind:"):
            pipe.bind(address[5:])
        else:
            pipe.connect(address)
        setattr(peer, kind, pipe)
        if kind == "jobs":
            peer.refuses_since = None
        else:
            peer.refuses_control_since = None

    # Sending

    def _give_out(self, now):
        if not self.waiting:
            return
        free = [peer for peer in self.peers.values()
                if now - peer.seen < self.rules.lease and peer.rest < now
                and len(peer.load) < self.rules.window]
        free.sort(key=lambda peer: len(peer.load))
        for peer in free:
            while len(peer.load) < self.rules.window:
                job = next((self.jobs[id] for id in self.waiting
                            if self.jobs[id].not_before <= now), None)
                if job is None:
                    return
                if not self._send_job(job, peer, job.next, "new"):
                    break
                del self.waiting[job.id]

    def _send_job(self, job, peer, attempt, why):
        message = dict(job.body, attempt=attempt)
        if job.ids and self.rules.resume:
            message["resume_ids"] = job.ids
        if not self._push(peer, "jobs", message):
            return False
        now = time.monotonic()
        if attempt != job.attempt:
            job.is_running = False
        job.attempt, job.next = attempt, attempt + 1
        job.worker, job.heard, job.sent = peer.name, now, now
        peer.load[job.id] = None
        self.history.write("send", job=job.id, attempt=attempt, worker=peer.name, why=why,
                           held=len(job.ids), boot=peer.boot)
        return True

    def _push(self, peer, kind, message):
        pipe = getattr(peer, kind)
        if pipe is None:
            return False
        name = "refuses_since" if kind == "jobs" else "refuses_control_since"
        try:
            pipe.send(json.dumps(message, separators=(",", ":")).encode(), zmq.NOBLOCK)
        except zmq.Again:
            if getattr(peer, name) is None:
                setattr(peer, name, time.monotonic())
            return False
        setattr(peer, name, None)
        return True

    def _resend(self, job, why):
        self.counts["resends"] += 1
        if not self._send_job(job, self.peers[job.worker], job.attempt, why):
            job.heard = time.monotonic() - self.rules.quiet + 0.2

    def _send_cancel(self, job):
        peer = self.peers.get(job.worker) if job.worker else None
        if peer is None:
            # Never sent, or void: nobody else can say how it ended.
            self._end(job, {"type": "error", "code": "CANCELLED", "retriable": False}, local=True)
            return
        message = {"v": 1, "type": "cancel", "job_id": job.id, "attempt": job.attempt}
        self._push(peer, "control", message)

    def _void(self, job, why, now):
        """Rule 3: what was sent to that worker does not exist any more."""
        peer = self.peers[job.worker]
        peer.load.pop(job.id, None)
        self.history.write("void", job=job.id, attempt=job.attempt, worker=peer.name, why=why,
                           running=job.is_running)
        self.counts["moves"] += 1
        if job.is_running and why in ("boot", "silent"):
            job.crashes += 1
        job.attempt += 1
        job.next = job.attempt
        job.worker = None
        job.is_running = False
        if job.crashes >= self.rules.poison:
            self._end(job, {"type": "error", "code": "POISON", "retriable": False}, local=True)
        elif job.cancel_due is not None:
            self._end(job, {"type": "error", "code": "CANCELLED", "retriable": False}, local=True)
        else:
            # What is old goes first: it has waited longest.
            self.waiting = {job.id: None, **self.waiting}

    # Hearing

    def _hear(self, frame):
        now = time.monotonic()
        event = json.loads(frame)
        kind, name, job_id = event["type"], event["worker"], event.get("job_id")
        peer = self.peers.setdefault(name, Peer(name))
        if event["boot"] < peer.boot and self.rules.fencing:
            self.counts["fenced"] += 1
            self._note(event, "old boot")
            return
        if event["boot"] > peer.boot:
            self._risen(peer, event, now)
        peer.seen = now
        if event["boot"] == peer.boot:
            if peer.seq is not None and event["seq"] != peer.seq + 1:
                self.counts["gaps"] += 1
                self.history.write("gap", worker=name, expected=peer.seq + 1, seq=event["seq"])
                if self.rules.resend:
                    for id in list(peer.load):
                        self._resend(self.jobs[id], "gap")
            peer.seq = event["seq"]
        if kind == "heartbeat":
            self._heartbeat(peer, event)
        elif kind == "bye":
            self.history.write("bye", worker=name, boot=event["boot"], reason=event["reason"])
            peer.rest = now + 1
            for id in list(peer.load):
                self._void(self.jobs[id], "bye", now)
        elif job_id is not None:
            self._about_job(peer, event, now)
        if self.on_event:
            self.on_event(event)

    def _risen(self, peer, event, now):
        self.history.write("boot", worker=peer.name, boot=event["boot"], before=peer.boot)
        peer.boot, peer.seq = event["boot"], None
        if self.rules.boot_check:
            crashed = event.get("crashed_on")
            if crashed in peer.load and self.rules.crash_note:
                self.jobs[crashed].is_running = True
            for id in list(peer.load):
                self._void(self.jobs[id], "boot", now)

    def _heartbeat(self, peer, event):
        peer.heartbeat = event
        if event["state"] in ("draining", "loading"):
            peer.rest = time.monotonic() + 1 if event["state"] == "draining" else peer.rest
        if peer.jobs is None:
            peer.addresses = self.addresses.get(peer.name, (event["jobs"], event["control"]))
            self._connect(peer, "jobs")
            self._connect(peer, "control")

    def _note(self, event, taken):
        self.history.write(
            "event", worker=event["worker"], boot=event["boot"], seq=event["seq"], type=event["type"],
            job=event.get("job_id"), attempt=event.get("attempt"), i=event.get("i"),
            n=len(event["ids"]) if "ids" in event else None, code=event.get("code"), taken=taken)

    def _about_job(self, peer, event, now):
        job = self.jobs.get(event["job_id"])
        if event.get("code") in ("QUEUE_FULL", "DRAINING", "SHUTDOWN"):
            peer.rest = now + 1
        if job is None:
            self.counts["unknown"] += 1
            kind = event["type"]
            if event["job_id"] not in self.results:
                self.unknown_types[kind] = self.unknown_types.get(kind, 0) + 1
            self._note(event, "unknown")
            return
        if self.rules.fencing and event["attempt"] != job.attempt:
            self.counts["fenced"] += 1
            self._note(event, "void attempt")
            return
        job.heard = now
        kind = event["type"]
        if kind == "token":
            self._note(event, self._token(job, event))
        elif kind in TERMINAL:
            self._terminal(peer, job, event, now)
        else:
            if kind == "started":
                job.is_running = True
            self._note(event, "taken")

    def _token(self, job, event):
        job.is_running = True
        first, ids = event["i"], event["ids"]
        held = len(job.ids)
        if first + len(ids) <= held:
            self.counts["repeats"] += 1
            return "repeat"
        if first != held:
            self.counts["gaps"] += 1
            if self.rules.resend and job.worker:
                self._resend(job, "order")
            return "out of order"
        self.history.write("deliver", job=job.id, i=first, ids=ids, text=event["t"])
        job.ids += ids
        job.text.append(event["t"])
        return "taken"

    def _terminal(self, peer, job, event, now):
        if event["type"] == "end" and event["tokens_out"] != len(job.ids):
            self._note(event, "tokens missing")
            if self.rules.resend and job.worker:
                self._resend(job, "end")
            return
        self._note(event, "taken")
        if self.rules.acknowledge:
            self._push(peer, "control", {"v": 1, "type": "ack", "job_id": job.id,
                                         "attempt": event["attempt"]})
        if event["type"] == "error" and event["retriable"] and job.cancel_due is None:
            if job.worker:
                self.peers[job.worker].load.pop(job.id, None)
            job.worker, job.is_running, job.not_before = None, False, now + 0.1
            self.waiting[job.id] = None
            return
        self._end(job, event)

    def _end(self, job, event, local=False):
        self.history.write("terminal", job=job.id, type=event["type"], code=event.get("code"),
                           tokens=len(job.ids), attempt=job.attempt, local=local)
        if job.worker:
            self.peers[job.worker].load.pop(job.id, None)
        self.waiting.pop(job.id, None)
        self.jobs.pop(job.id, None)
        self.results[job.id] = event


def is_right(job_id, ids, text, count):
    """Whether a whole answer is the one the stub gives."""
    return (ids, text) == stream(job_id, count)
